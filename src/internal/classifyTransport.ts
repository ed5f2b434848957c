/**
 * Turns a failure below HTTP (no answer, or half of one) into the {@link LlmError} a caller acts on.
 *
 * The message is made here from the failure's code. The text of the failure is never used: HTTP clients
 * put the request, with its headers and the key among them, into theirs.
 */
import * as LlmError from "../LlmError.js"
import { safeText } from "./safeText.js"

/** The request reached nobody, or its answer did not reach us. */
const network: Readonly<Record<string, string>> = {
  ECONNRESET: "the server closed the connection before its answer was complete",
  EPIPE: "the server closed the connection while the request was being sent",
  ECONNABORTED: "the connection was aborted",
  ECONNREFUSED: "the server refused the connection: is it running, and is the address right?",
  ETIMEDOUT: "the connection timed out: the network or the server did not react",
  EAI_AGAIN: "the host name could not be looked up just now",
  ENOTFOUND: "no such host: check the base URL and the network",
  EAI_FAIL: "the host name could not be looked up",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ENETDOWN: "the network is down",
  EADDRNOTAVAIL: "no local port is free: too many connections at once",
  EMFILE: "too many open files or connections: raise the limit of the process or lower the concurrency",
  EPROTO: "the TLS handshake failed: is this an https address?",
  ERR_SSL_WRONG_VERSION_NUMBER: "the TLS handshake failed: is this an https address?",
  ERR_STREAM_PREMATURE_CLOSE: "the answer was cut short",
  UND_ERR_SOCKET: "the server closed the connection before its answer was complete",
  UND_ERR_CONNECT_TIMEOUT: "no connection within the time allowed",
  UND_ERR_ABORTED: "the request was aborted",
  UND_ERR_CLOSED: "the HTTP client is closed",
  UND_ERR_DESTROYED: "the HTTP client is closed",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the answer was cut short",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "the answer is larger than allowed",
  UND_ERR_HEADERS_OVERFLOW: "the answer's headers are larger than allowed",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: is the clock right?",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate chain holds a self-signed one: is there a proxy?",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate cannot be verified",
  UNABLE_TO_GET_ISSUER_CERT: "the server's certificate cannot be verified",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's certificate cannot be verified",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host"
}

/** The server had the request, and time ran out: it may have been billed. */
const timeout: Readonly<Record<string, string>> = {
  UND_ERR_HEADERS_TIMEOUT: "the server sent no answer within the time allowed",
  UND_ERR_BODY_TIMEOUT: "the server stopped sending its answer",
  ESOCKETTIMEDOUT: "the server sent nothing within the time allowed"
}

/** The request could not be put on the wire: another try cannot help. */
const invalid: Readonly<Record<string, string>> = {
  ERR_INVALID_URL: "the base URL is not a valid URL",
  ERR_INVALID_PROTOCOL: "the base URL has to begin with http:// or https://",
  ERR_INVALID_CHAR: "a header holds a character that is not allowed: is there a line break in the key?",
  ERR_INVALID_HTTP_TOKEN: "a header's name holds a character that is not allowed",
  UND_ERR_INVALID_ARG: "the request could not be built: check the base URL and the headers"
}

type Fields = Readonly<Record<string, unknown>>

/** The failure and what caused it, outermost first; the members of an aggregate come after it. */
const chain = (cause: unknown): ReadonlyArray<Fields> => {
  const seen = new Set<Fields>()
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.size >= 16) return
    const fields = value as Fields
    if (seen.has(fields)) return
    seen.add(fields)
    visit(fields["cause"])
    if (Array.isArray(fields["errors"])) for (const member of fields["errors"]) visit(member)
  }
  visit(cause)
  return [...seen]
}

const codeOf = (failure: Fields): string | undefined => {
  const code = failure["code"]
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? code : undefined
}

/** Where it was going: host names and addresses are safe to print, paths and queries are not. */
const placeOf = (failures: ReadonlyArray<Fields>): string => {
  for (const { address, hostname, port } of failures) {
    const host = typeof hostname === "string" ? hostname : address
    if (typeof host === "string" && /^[\w.:-]{1,255}$/.test(host)) {
      return typeof port === "number" ? `${host}:${port}` : host
    }
  }
  return ""
}

/** What an Effect, a DOM or a platform failure is named, where it has no code. */
const named = (
  failure: Fields
): readonly [kind: "network" | "timeout" | "invalid" | "cancelled", string] | undefined => {
  switch (failure["_tag"]) {
    case "TimeoutException":
      return ["timeout", "no complete answer within the time allowed"]
    case "RequestError":
      if (failure["reason"] === "InvalidUrl") return ["invalid", "the base URL is not a valid URL"]
      if (failure["reason"] === "Encode") return ["invalid", "the request could not be written as JSON"]
      break
    case "ResponseError":
      if (failure["reason"] === "Decode") return ["network", "the answer could not be read, or is not JSON"]
      if (failure["reason"] === "EmptyBody") return ["network", "the answer is empty"]
  }
  switch (failure["name"]) {
    case "TimeoutError":
    case "HeadersTimeoutError":
    case "BodyTimeoutError":
      return ["timeout", "no complete answer within the time allowed"]
    case "AbortError":
      return ["cancelled", "the call was given up"]
    case "SyntaxError":
      return ["network", "the answer is not JSON"]
  }
  return undefined
}

/**
 * The error of a call that got no usable answer. `cause` is what the HTTP client failed with: a Node or
 * undici error, a platform `HttpClientError` around one, a `TimeoutException`.
 */
export const classifyTransport = (provider: string, cause: unknown): LlmError.LlmError => {
  const failures = chain(cause)
  const place = placeOf(failures)
  const fields = (text: string, code: string | undefined) => ({
    provider,
    message: safeText(`${text}${place === "" ? "" : ` (${place})`}${code === undefined ? "" : ` [${code}]`}`),
    ...(code === undefined ? {} : { code })
  })
  const codes = failures.flatMap((failure) => codeOf(failure) ?? [])
  for (const code of codes) {
    const late = timeout[code]
    if (late !== undefined) return new LlmError.TimeoutError(fields(late, code))
    const wrong = invalid[code]
    if (wrong !== undefined) return new LlmError.InvalidRequestError(fields(wrong, code))
    const lost = network[code] ?? (code.startsWith("HPE_") ? "the answer is not HTTP" : undefined)
    if (lost !== undefined) return new LlmError.NetworkError(fields(lost, code))
  }
  for (const failure of failures) {
    const known = named(failure)
    if (known === undefined) continue
    const [kind, text] = known
    switch (kind) {
      case "network":
        return new LlmError.NetworkError(fields(text, undefined))
      case "timeout":
        return new LlmError.TimeoutError(fields(text, undefined))
      case "invalid":
        return new LlmError.InvalidRequestError(fields(text, undefined))
      case "cancelled":
        return new LlmError.CancelledError(fields(text, undefined))
    }
  }
  const tls = codes.find((code) => /CERT|TLS|SSL/.test(code))
  if (tls !== undefined)
    return new LlmError.NetworkError(fields("the server's certificate or TLS was not accepted", tls))
  return new LlmError.NetworkError(fields("the request got no answer", codes[0]))
}
