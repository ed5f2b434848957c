/** What became of an attempt at an endpoint, as errors tell it. */
import type { Endpoint } from "../Endpoint.js"
import type { AttemptCause, LlmError } from "../LlmError.js"

export const causeOf = ({ id }: Endpoint, { _tag, message, status }: LlmError): AttemptCause => ({
  endpoint: id,
  error: _tag,
  message,
  ...(status === undefined ? undefined : { status })
})
