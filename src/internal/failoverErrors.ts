/** The errors after which another endpoint is asked, unless a router says otherwise; see `Router.defaultFailover`. */
export const failoverErrors = [
  "RateLimitError",
  "OverloadedError",
  "ServerError",
  "NetworkError",
  "TimeoutError",
  "ConflictError",
  "AuthError",
  "PermissionError",
  "QuotaExhaustedError",
  "NotFoundError",
  "RequestTooLargeError",
  "UnsupportedError",
  "ContextLengthError",
  "BudgetExceededError",
  "UnboundedCostError"
] as const
