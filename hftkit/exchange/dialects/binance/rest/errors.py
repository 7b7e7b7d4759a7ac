"""What the venue answers when it refuses: codes, texts and HTTP statuses, one table. Source: the published error list of the USD-M futures API.

`Refusal(code, *values)` is raised by whoever refuses; the router makes `{"code": ..., "msg": ...}` of it. The status is 400 but for STATUSES.
"""

from __future__ import annotations

from hftkit.codes import Reject

# code: text; "{}" stands for a value
TEXTS: dict[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1002: "You are not authorized to execute this request.",
    -1003: "Too many requests; current limit of IP({}) is {} requests per minute. "
    "Please use the websocket for live updates to avoid polling the API.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.",
    -1014: "Unsupported order combination.",
    -1015: "Too many new orders; current limit is {} orders per {}.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1023: "Start time is greater than end time.",
    -1100: "Illegal characters found in parameter '{}'; legal range is '{}'.",
    -1101: "Duplicate values for a parameter detected.",
    -1102: "Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    -1105: "Parameter '{}' was empty.",
    -1106: "Parameter '{}' sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1112: "No orders on book for symbol.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist. Please use POST /fapi/v1/listenKey to recreate listenKey and retry.",
    -1127: "Lookup interval is too big. More than {} hours between startTime and endTime.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{}' is not valid.",
    -1136: "Invalid newOrderRespType.",
    -2010: "Order rejected.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2018: "Balance is insufficient.",
    -2019: "Margin is insufficient.",
    -2020: "Unable to fill.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2023: "User in liquidation mode now.",
    -2024: "Position is not sufficient.",
    -2025: "Reach max open order limit.",
    -2028: "Leverage is smaller than permitted: insufficient margin balance.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4006: "Stop price less than zero.",
    -4007: "Stop price greater than max price.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id length should not be more than 36 chars.",
    -4016: "Limit price can't be higher than {}.",
    -4021: "{} is not valid depth limit.",
    -4023: "Qty not increased by step size.",
    -4024: "Limit price can't be lower than {}.",
    -4028: "Leverage {} is not valid.",
    -4031: "Invalid parameter working type.",
    -4032: "Exceed maximum cancel order size.",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4049: "Add margin only support for isolated position.",
    -4050: "Cross balance insufficient.",
    -4051: "Isolated balance insufficient.",
    -4054: "Cannot add position margin: position is 0.",
    -4055: "Amount must be positive.",
    -4059: "No need to change position side.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4062: "Invalid or improper reduceOnly value.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders.",
    -4109: "This account is inactive, please activate it before trading.",
    -4115: "ClientStrategyId is duplicated.",
    -4116: "ClientOrderId is duplicated.",
    -4118: "ReduceOnly order failed. Please check your existing position and open orders.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4135: "Invalid activation price.",
    -4136: "TARGET_STRATEGY_INVALID_CLOSE_POSITION: closePosition needs STOP_MARKET or TAKE_PROFIT_MARKET.",
    -4137: "Quantity must be zero with closePosition equals true.",
    -4138: "Reduce only must be true with closePosition equals true.",
    -4140: "Invalid symbol status for opening position.",
    -4141: "Symbol is closed.",
    -4161: "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    -4164: "Order's notional must be no smaller than {} (unless you choose reduce only).",
    -4165: "Invalid time interval. Maximum time interval is {} days.",
    -4171: "No need to change Multi-Assets mode.",
    -5000: "Path {}, Method {} is invalid",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history.",
    -5024: "Symbol is not in trading status. Order amendment is not permitted.",
    -5025: "Only limit order is supported.",
    -5026: "Exceed maximum modify order limit.",
    -5027: "No need to modify the order.",
    -5029: "Order's notional must be no smaller than {}.",
    -5037: "Invalid price match.",
    -5038: "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT.",
    -5039: "Invalid self trade prevention mode.",
    -5040: "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than 253402300799000.",
    -5041: "No depth matches this BBO order.",
    -5047: "The order's reduceOnly cannot be changed by an amendment.",
}
STATUSES = {-1002: 401, -2014: 401, -2015: 401, -1003: 429, -1015: 429, -1007: 408, -1008: 503, -5000: 404}
EITHER = "Param '{}' or '{}' must be sent, but both were empty/null!"  # the other text of -1102
AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."  # the other text of -1021
BANNED = "Way too many requests; IP({}) banned until {}. Please use the websocket for live updates to avoid bans."  # -1003 with 418
MALFORMED = "Illegal characters found in a parameter."  # the other text of -1100
UNKNOWN = "Unknown error, please check your request or try again later."  # HTTP 503, the outcome is not known
UNAVAILABLE = "Service Unavailable."  # HTTP 503, failed for certain

# Why the compiled venue refused an order, in this venue's codes.
OF_REJECT: dict[int, int] = {
    Reject.SESSION_THROTTLED: -1008,
    Reject.VENUE_UNKNOWN_INSTRUMENT: -1121,
    Reject.VENUE_BAD_PRICE: -4001,
    Reject.VENUE_BAD_QTY: -4005,
    Reject.VENUE_MIN_NOTIONAL: -4164,
    Reject.VENUE_PRICE_BAND: -4016,
    Reject.VENUE_DUPLICATE_CLIENT_ORDER_ID: -4116,
    Reject.VENUE_BAD_TYPE: -1116,
    Reject.VENUE_INSUFFICIENT_MARGIN: -2019,
    Reject.VENUE_REDUCE_ONLY: -4118,  # where there is nothing to reduce at all: -2022, see orders.py
    Reject.VENUE_TOO_MANY_ORDERS: -2025,
    Reject.VENUE_WOULD_TRIGGER: -2021,
    Reject.VENUE_EXPIRED: -5040,
    Reject.VENUE_LIQUIDATION: -2023,
    Reject.VENUE_MARKET_CLOSED: -4141,
    Reject.BOOK_FULL: -1008,
    Reject.BOOK_POST_ONLY_WOULD_TAKE: -5022,
    Reject.BOOK_UNKNOWN_ORDER: -2011,
    Reject.BOOK_NO_LIQUIDITY: -1112,
    Reject.BOOK_FOK_NOT_FILLABLE: -5021,
    Reject.BOOK_SELF_TRADE: -2010,
    Reject.BOOK_PRICE_OUT_OF_RANGE: -4002,
}


class Refusal(Exception):
    """A request that the venue refuses. `code`, `msg` and `status` are what the client gets; `headers` go with them."""

    def __init__(self, code: int, *values: object, text: str = "", status: int = 0, headers: dict[str, str] | None = None) -> None:
        self.code = code
        self.msg = (text or TEXTS[code]).format(*values)
        self.status = status or STATUSES.get(code, 400)
        self.headers = headers or {}
        super().__init__(f"{code} {self.msg}")

    @property
    def body(self) -> dict[str, object]:
        """`{"code": ..., "msg": ...}`."""
        return {"code": self.code, "msg": self.msg}


def refusal_of(reason: int, *values: object) -> Refusal:
    """The compiled venue's Reject code as a refusal. `values` fill in the text, where it has room for them."""
    code = OF_REJECT.get(reason, -2010)
    return Refusal(code, *(values if "{}" in TEXTS[code] else ())) if "{}" not in TEXTS[code] or values else Refusal(-2010)
