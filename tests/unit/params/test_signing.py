"""Signatures of frozen files: who signed, what was signed, and every way in which that can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hftkit.compilation.warmup_core import example_session
from hftkit.errors import ParamsError
from hftkit.params.commands import params as command
from hftkit.params.format import freeze
from hftkit.params.signing import make_key, sign, verify


@pytest.fixture
def frozen(tmp_path) -> Path:
    return freeze(example_session().strategies[0], tmp_path / "frozen")


def test_signed_and_verified(frozen, tmp_path):
    public = make_key(tmp_path / "release")
    assert (tmp_path / "release").stat().st_mode & 0o777 == 0o600
    signature = sign(frozen, tmp_path / "release")
    assert signature.name == frozen.name + ".sig"
    assert verify(frozen, public) == verify(frozen, tmp_path) == "release.pub"


def test_refusals(frozen, tmp_path):
    public, other = make_key(tmp_path / "release"), make_key(tmp_path / "other")
    with pytest.raises(ParamsError, match="is not signed"):
        verify(frozen, public)
    signature = sign(frozen, tmp_path / "release")
    with pytest.raises(ParamsError, match="not among those trusted"):
        verify(frozen, other)
    with pytest.raises(ParamsError, match="cannot write the key"):
        make_key(tmp_path / "release")
    whole = frozen.read_bytes()
    frozen.chmod(0o644)
    frozen.write_bytes(whole.replace(b'"window":10', b'"window":11'))
    with pytest.raises(ParamsError, match="does not fit its bytes"):
        verify(frozen, public)
    with pytest.raises(ParamsError, match="altered"):
        sign(frozen, tmp_path / "release")
    frozen.write_bytes(whole)
    signature.write_text("{}")
    with pytest.raises(ParamsError, match="is no signature"):
        verify(frozen, public)
    with pytest.raises(ParamsError, match="no public key in PEM form"):
        verify(frozen, tmp_path / "release")
    with pytest.raises(ParamsError, match="there is no public key"):
        verify(frozen, frozen.parent)


def test_commands(frozen, tmp_path):
    run = CliRunner().invoke
    assert run(command, ["keygen", str(tmp_path / "key")]).exit_code == 0
    unsigned = run(command, ["verify", str(frozen), "--require-signature", str(tmp_path / "key.pub")])
    assert unsigned.exit_code != 0
    assert run(command, ["sign", str(frozen), "--key", str(tmp_path / "key")]).exit_code == 0
    good = run(command, ["verify", str(frozen), "--require-signature", str(tmp_path / "key.pub")])
    assert good.exit_code == 0
    assert "signed by key.pub" in good.output


def test_the_engine_refuses_what_is_not_signed(frozen, tmp_path):
    from live.commands import live

    public = make_key(tmp_path / "key")
    result = CliRunner().invoke(live, ["--params", str(frozen), "--require-signature", str(public), "--journal-dir", str(tmp_path / "journals")])
    assert isinstance(result.exception, ParamsError)
    assert "is not signed" in result.exception.problem
    assert not (tmp_path / "journals").exists()
