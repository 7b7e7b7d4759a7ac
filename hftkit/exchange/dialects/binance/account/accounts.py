"""Wallets, positions and margins as JSON: account, balance and positionRisk in all their versions.

Cross or isolated margin, one-way mode, one wallet in one asset. Formulas: the venue's published ones (docs/binance-dialect.md says which); figures
are the compiled venue's own where it has them, so that what is shown is what orders are checked with.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hftkit.exchange.dialects.binance.market.symbols import Symbol, money, ratio_text
from hftkit.exchange.dialects.binance.rest.call import Call, Route, Security, Table
from hftkit.units import E8

if TYPE_CHECKING:
    from hftkit.exchange.dialects.binance.venue import BinanceDialect

_PPM = 1_000_000
_MS = 1_000_000
NO_CAP = 10**15  # notional cap of the one leverage bracket, quote units


def part_of(amount: int, ppm: int) -> int:
    """floor(amount * ppm / 1e6), as the compiled venue reckons margins and fees."""
    return amount * ppm // _PPM


@dataclass(frozen=True)
class Position:
    """One account in one symbol. Money in 1e-8 quote; `bid`, `ask`: notional of what its open orders could buy, sell."""

    symbol: Symbol
    lots: int
    cost: int
    mark: int
    leverage: int
    bid: int
    ask: int
    updated_ms: int
    is_isolated: bool = False
    isolated_wallet: int = 0

    @property
    def notional(self) -> int:
        """Signed value at the mark."""
        return self.symbol.notional_e8(self.lots * self.mark)

    @property
    def unrealised(self) -> int:
        """Profit at the mark."""
        return self.notional - self.cost

    @property
    def initial_ppm(self) -> int:
        """Initial margin, part of the notional in 1e-6."""
        return _PPM // self.leverage

    @property
    def position_margin(self) -> int:
        """Initial margin of the position alone."""
        return part_of(abs(self.notional), self.initial_ppm)

    @property
    def initial(self) -> int:
        """Initial margin of position and open orders: of the larger exposure that its bids or its asks could leave."""
        return part_of(max(abs(self.notional + self.bid), abs(self.notional - self.ask)), self.initial_ppm)

    @property
    def order_margin(self) -> int:
        """What the open orders add."""
        return max(0, self.initial - self.position_margin)

    @property
    def maintenance(self) -> int:
        """Maintenance margin."""
        return part_of(abs(self.notional), self.symbol.maintenance_ppm)

    @property
    def isolated_margin(self) -> int:
        """Equity of an isolated position; 0 with cross margin."""
        return self.isolated_wallet + self.unrealised if self.is_isolated else 0

    @property
    def cross_need(self) -> int:
        """What the cross wallet carries: all, or of an isolated position what its orders would open (exchange/margin.py)."""
        if not self.is_isolated:
            return self.initial
        same, other = (self.bid, self.ask) if self.lots >= 0 else (self.ask, self.bid)
        turned = other - abs(self.notional)
        need = part_of(turned, self.initial_ppm) - (self.isolated_margin if self.lots else 0) if turned > 0 else 0
        return max(part_of(same, self.initial_ppm), need)

    @property
    def cross_profit(self) -> int:
        """Unrealised profit that the cross wallet answers for."""
        return 0 if self.is_isolated else self.unrealised

    @property
    def cross_maintenance(self) -> int:
        """Maintenance margin that it answers for."""
        return 0 if self.is_isolated else self.maintenance

    @property
    def entry(self) -> Decimal:
        """Average entry price."""
        return self.symbol.entry_price(self.cost, self.lots)

    @property
    def break_even(self) -> Decimal:
        """The price at which leaving as a taker costs nothing, entry paid as a taker too: entry moved by one taker fee."""
        shift = self.entry * self.symbol.taker_ppm / _PPM
        return (self.entry + (shift if self.lots > 0 else -shift)).quantize(Decimal("1e-8"))

    @property
    def is_shown(self) -> bool:
        """Is there a position, or an open order?"""
        return self.lots != 0 or self.bid != 0 or self.ask != 0


class Portfolio:
    """All of one account at this moment."""

    def __init__(self, venue: BinanceDialect, account: int) -> None:
        self.venue = venue
        self.wallet = int(venue.venue.accounts[account]["wallet_e8"])
        marks = venue.order_api.marks()
        self.positions = [self._position(account, symbol, marks[symbol.index]) for symbol in venue.symbols.all]

    def _position(self, account: int, symbol: Symbol, mark: int) -> Position:
        holding, exposure = self.venue.venue.holdings[account, symbol.index], self.venue.venue.books.exposures[account, symbol.index]
        return Position(
            symbol=symbol,
            lots=int(holding["position"]),
            cost=int(holding["cost_e8"]),
            mark=mark,
            leverage=self.venue.leverage(account, symbol),
            bid=symbol.notional_e8(exposure["open_bid"]),
            ask=symbol.notional_e8(exposure["open_ask"]),
            updated_ms=self.venue.last_fill_ms(account, symbol.index),
            is_isolated=bool(holding["is_isolated"]),
            isolated_wallet=int(holding["isolated_e8"]),
        )

    def total(self, name: str) -> int:
        """Sum of one figure over all positions."""
        return sum(getattr(position, name) for position in self.positions)

    @property
    def equity(self) -> int:
        """Margin balance: wallet and unrealised profit."""
        return self.wallet + self.total("unrealised")

    @property
    def cross_wallet(self) -> int:
        """What isolated positions do not hold."""
        return self.wallet - self.total("isolated_wallet")

    @property
    def cross_equity(self) -> int:
        """Cross wallet and the profit it answers for."""
        return self.cross_wallet + self.total("cross_profit")

    @property
    def free(self) -> int:
        """Equity beyond what is needed; negative: less than that."""
        return self.cross_equity - self.total("cross_need")

    @property
    def available(self) -> int:
        """What new orders may use."""
        return max(0, self.free)

    @property
    def withdrawable(self) -> int:
        """What could leave the wallet."""
        return max(0, min(self.available, self.cross_wallet))

    @property
    def updated_ms(self) -> int:
        """Time of the account's last fill; before the first, when the wallet was filled: the start. (Clients take 0 for "not valid".)"""
        return max(self.venue.start_ns // _MS, *(position.updated_ms for position in self.positions))

    def liquidation_price(self, position: Position) -> str:
        """Where the equity behind a position falls to its maintenance margin, all other prices unchanged; "0" where that is nowhere."""
        if position.lots == 0:
            return "0"
        side, symbol = (1 if position.lots > 0 else -1), position.symbol
        size = abs(position.lots) * symbol.lot
        others = position.isolated_wallet
        if not position.is_isolated:
            others = self.cross_equity - position.unrealised - (self.total("cross_maintenance") - position.maintenance)
        rate = Decimal(symbol.maintenance_ppm) / _PPM
        below = size * rate - side * size
        price = (Decimal(others) / E8 - side * size * position.entry) / below if below else Decimal(0)
        return ratio_text(price.quantize(Decimal(1).scaleb(-max(2, symbol.price_places)))) if price > 0 else "0"


# -- rows ------------------------------------------------------------------------------------------------------------


def _asset(book: Portfolio) -> dict[str, Any]:
    position_margin = book.total("position_margin")
    return {
        "asset": book.venue.symbols.margin_asset,
        "walletBalance": money(book.wallet),
        "unrealizedProfit": money(book.total("unrealised")),
        "marginBalance": money(book.equity),
        "maintMargin": money(book.total("maintenance")),
        "initialMargin": money(book.total("initial")),
        "positionInitialMargin": money(position_margin),
        "openOrderInitialMargin": money(book.total("initial") - position_margin),
        "crossWalletBalance": money(book.cross_wallet),
        "crossUnPnl": money(book.total("cross_profit")),
        "availableBalance": money(book.available),
        "maxWithdrawAmount": money(book.withdrawable),
        "updateTime": book.updated_ms,
    }


def _totals(book: Portfolio) -> dict[str, Any]:
    asset = _asset(book)
    return {
        "totalInitialMargin": asset["initialMargin"],
        "totalMaintMargin": asset["maintMargin"],
        "totalWalletBalance": asset["walletBalance"],
        "totalUnrealizedProfit": asset["unrealizedProfit"],
        "totalMarginBalance": asset["marginBalance"],
        "totalPositionInitialMargin": asset["positionInitialMargin"],
        "totalOpenOrderInitialMargin": asset["openOrderInitialMargin"],
        "totalCrossWalletBalance": asset["crossWalletBalance"],
        "totalCrossUnPnl": asset["crossUnPnl"],
        "availableBalance": asset["availableBalance"],
        "maxWithdrawAmount": asset["maxWithdrawAmount"],
    }


def _amount(position: Position) -> str:
    return position.symbol.qty(position.lots)


def _or_zero(amount_e8: int) -> str:
    return money(amount_e8) if amount_e8 else "0"


def _account_row_v3(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol.name,
        "positionSide": "BOTH",
        "positionAmt": _amount(position),
        "unrealizedProfit": money(position.unrealised),
        "isolatedMargin": _or_zero(position.isolated_margin),
        "notional": money(position.notional),
        "isolatedWallet": _or_zero(position.isolated_wallet),
        "initialMargin": money(position.initial),
        "maintMargin": money(position.maintenance),
        "updateTime": position.updated_ms,
    }


def _account_row_v2(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol.name,
        "initialMargin": money(position.initial),
        "maintMargin": money(position.maintenance),
        "unrealizedProfit": money(position.unrealised),
        "positionInitialMargin": money(position.position_margin),
        "openOrderInitialMargin": money(position.order_margin),
        "leverage": str(position.leverage),
        "isolated": position.is_isolated,
        "entryPrice": ratio_text(position.entry),
        "breakEvenPrice": ratio_text(position.break_even),
        "maxNotional": str(NO_CAP),
        "bidNotional": money(position.bid),
        "askNotional": money(position.ask),
        "positionSide": "BOTH",
        "positionAmt": _amount(position),
        "notional": money(position.notional),
        "isolatedWallet": _or_zero(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }


def _risk_row(book: Portfolio, position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol.name,
        "positionSide": "BOTH",
        "positionAmt": _amount(position),
        "entryPrice": ratio_text(position.entry),
        "breakEvenPrice": ratio_text(position.break_even),
        "markPrice": money(int(position.mark * position.symbol.tick * E8)),
        "unRealizedProfit": money(position.unrealised),
        "liquidationPrice": book.liquidation_price(position),
        "isolatedMargin": _or_zero(position.isolated_margin),
        "notional": money(position.notional),
        "isolatedWallet": _or_zero(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }


# -- endpoints -------------------------------------------------------------------------------------------------------


def account_v3(call: Call) -> Any:
    """GET /fapi/v3/account."""
    book = Portfolio(call.venue, call.account)
    rows = [_account_row_v3(position) for position in book.positions if position.is_shown]
    return {**_totals(book), "assets": [_asset(book)], "positions": rows}


def account_v2(call: Call) -> Any:
    """GET /fapi/v2/account, and v1."""
    book = Portfolio(call.venue, call.account)
    head = {"feeTier": 0, "feeBurn": False, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
    assets = [{**_asset(book), "marginAvailable": True}]
    rows = [_account_row_v2(position) for position in book.positions]
    return {**head, "multiAssetsMargin": False, "tradeGroupId": -1, **_totals(book), "assets": assets, "positions": rows}


def balance(call: Call) -> Any:
    """GET /fapi/v2/balance and /fapi/v3/balance."""
    book = Portfolio(call.venue, call.account)
    return [
        {
            "accountAlias": f"hk{call.account:04d}",
            "asset": call.venue.symbols.margin_asset,
            "balance": money(book.wallet),
            "crossWalletBalance": money(book.cross_wallet),
            "crossUnPnl": money(book.total("cross_profit")),
            "availableBalance": money(book.available),
            "maxWithdrawAmount": money(book.withdrawable),
            "marginAvailable": True,
            "updateTime": book.updated_ms,
        }
    ]


def position_risk_v3(call: Call) -> Any:
    """GET /fapi/v3/positionRisk: symbols with a position or an open order."""
    book, wanted = Portfolio(call.venue, call.account), call.symbol_or_none()
    return [
        {
            **_risk_row(book, position),
            "marginAsset": position.symbol.margin_asset,
            "initialMargin": money(position.initial),
            "maintMargin": money(position.maintenance),
            "positionInitialMargin": money(position.position_margin),
            "openOrderInitialMargin": money(position.order_margin),
            "adl": 1 if position.lots else 0,
            "bidNotional": money(position.bid),
            "askNotional": money(position.ask),
        }
        for position in book.positions
        if position.is_shown and (wanted is None or position.symbol is wanted)
    ]


def position_risk_v2(call: Call) -> Any:
    """GET /fapi/v2/positionRisk: all symbols."""
    book, wanted = Portfolio(call.venue, call.account), call.symbol_or_none()
    return [
        {
            **_risk_row(book, position),
            "leverage": str(position.leverage),
            "maxNotionalValue": str(NO_CAP),
            "marginType": "isolated" if position.is_isolated else "cross",
            "isAutoAddMargin": "false",
        }
        for position in book.positions
        if wanted is None or position.symbol is wanted
    ]


_READ = Security.SIGNED
ROUTES: Table = {
    ("GET", "/fapi/v3/account"): Route(account_v3, _READ, 5),
    ("GET", "/fapi/v2/account"): Route(account_v2, _READ, 5),
    ("GET", "/fapi/v1/account"): Route(account_v2, _READ, 5),
    ("GET", "/fapi/v3/balance"): Route(balance, _READ, 5),
    ("GET", "/fapi/v2/balance"): Route(balance, _READ, 5),
    ("GET", "/fapi/v1/balance"): Route(balance, _READ, 5),
    ("GET", "/fapi/v3/positionRisk"): Route(position_risk_v3, _READ, 5),
    ("GET", "/fapi/v2/positionRisk"): Route(position_risk_v2, _READ, 5),
    ("GET", "/fapi/v1/positionRisk"): Route(position_risk_v2, _READ, 5),
}
