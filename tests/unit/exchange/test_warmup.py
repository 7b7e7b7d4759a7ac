from hftkit.exchange.warmup import warm


def test_every_task_runs() -> None:
    tasks = warm()
    assert [label for label, _ in tasks] == ["exchange simulator", "exchange dialects", "exchange tape", "history as the market"]
    for _, compile_it in tasks:
        compile_it()
