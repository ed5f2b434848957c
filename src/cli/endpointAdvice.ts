/** What to do where a call to an endpoint has failed. */
import type { Endpoint } from "../Endpoint.js"
import type { Described } from "../internal/configEndpoints.js"
import { placeOf } from "../internal/configProblem.js"
import { nearest } from "../internal/nearest.js"
import { find } from "../internal/providerRegistry.js"
import type { LlmError } from "../LlmError.js"
import { addressOf } from "./configRows.js"

/** Where the key is from, as people know it. */
const keyPlace = ({ provider }: Endpoint, described: Described | undefined): string => {
  const from = described?.from.api_key
  const place = from === undefined ? "" : placeOf(from)
  return place || (find(provider)?.key ?? "the key")
}

/** What can be done about it. `models` are those that the server lists, where that is known. */
export const adviceFor = (
  error: LlmError,
  endpoint: Endpoint,
  described: Described | undefined,
  models: ReadonlyArray<string> = []
): string => {
  const vendor = find(endpoint.provider)?.vendor ?? endpoint.provider
  const key = keyPlace(endpoint, described)
  switch (error._tag) {
    case "AuthError":
      return `Set ${key} to a key that ${vendor} knows`
    case "PermissionError":
      return `Give the account of ${key} access to this model, or name another with --model`
    case "QuotaExhaustedError":
      return `Pay in at ${vendor}, or raise the account's spending limit`
    case "NotFoundError": {
      const meant = endpoint.model === undefined ? undefined : nearest(endpoint.model, models)
      return meant === undefined
        ? "Check the model and the base URL; floodgate models lists what there is"
        : `Did you mean ${meant}? floodgate models lists what there is`
    }
    case "RateLimitError":
      return "The key works; its limit is used up just now. Try again later, or lower limits in the config file"
    case "OverloadedError":
    case "ServerError":
    case "ConflictError":
      return `The trouble is at ${vendor}: try again later`
    case "TimeoutError":
      return "Try again, with a longer --timeout if the server is slow"
    case "NetworkError":
      return `Check the base URL ${addressOf(endpoint.baseUrl)} and the network`
    case "UnsupportedError":
    case "InvalidRequestError":
      return "Check the model, and what the endpoint says of headers and parameters in the config file"
    default:
      return "Try another model with --model"
  }
}
