/**
 * Reads the body of a failed answer, whatever its shape, into one record.
 *
 * Shapes known (each is somebody's default): OpenAI and Azure `{error:{message,type,param,code}}`;
 * Anthropic `{type:"error",error:{type,message,details?},request_id}`; Google
 * `{error:{code,message,status,details}}`, also inside an array; Mistral, Cohere, older vLLM flat
 * `{message,type?,code?}`; Mistral 422 and Voyage `{detail}`; xAI `{code,error:"text"}`; OpenRouter
 * `{error:{code,message,metadata}}`; gateways' `{error:{error:{…}}}`, HTML, plain text, nothing.
 */

import { isJsonObject, type JsonObject as Json } from "./jsonObject.js"

/** What a failed answer's body says; absent fields are `undefined`, texts are as the server sent them. */
export interface ErrorBody {
  /** The message, not yet made safe to print; empty if there is none. */
  readonly message: string
  /** `error.code`, numbers as text. */
  readonly code: string | undefined
  /** `error.type`: OpenAI's and Anthropic's kind of error. */
  readonly type: string | undefined
  /** Google's canonical status, such as `RESOURCE_EXHAUSTED`. */
  readonly status: string | undefined
  /** Google's `ErrorInfo.reason`, Anthropic's `details.error_code`, Azure's `innererror.code`. */
  readonly reason: string | undefined
  /** Google's typed details. */
  readonly details: ReadonlyArray<Json>
  /** OpenRouter's metadata. */
  readonly metadata: Json | undefined
  readonly requestId: string | undefined
}

// Patterns run on no more than this much of a message.
const maxText = 8_000

const object = (value: unknown): Json | undefined => (isJsonObject(value) ? value : undefined)

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** The objects of a list, and nothing else. */
export const objects = (value: unknown): ReadonlyArray<Json> =>
  list(value).flatMap((element): ReadonlyArray<Json> => {
    const found = object(element)
    return found === undefined ? [] : [found]
  })

/** A text, or a number as text. */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== ""
    ? value.slice(0, maxText)
    : typeof value === "number"
      ? String(value)
      : undefined

const empty: ErrorBody = {
  message: "",
  code: undefined,
  type: undefined,
  status: undefined,
  reason: undefined,
  details: [],
  metadata: undefined,
  requestId: undefined
}

/** A page of HTML is reduced to its title, or to its text. */
const plain = (body: string): string => {
  const head = body.slice(0, maxText)
  if (!/^\s*<(?:!doctype|html|head|\?xml|center|h1)\b/i.test(head)) return head.trim()
  const title = /<(title|h1)\b[^<>]*>([^<]+)/i.exec(head)?.[2]
  return (title ?? head.replace(/<[^<>]*>/g, " ")).trim()
}

/** FastAPI's `detail`, as Mistral and Voyage send it: a text or a list of what is wrong where. */
const detailText = (detail: unknown): string | undefined => {
  if (!Array.isArray(detail)) return text(detail)
  const parts = list(detail)
    .slice(0, 5)
    .flatMap((entry) => {
      const item = object(entry)
      const message = text(item?.["msg"])
      if (message === undefined) return []
      const where = list(item?.["loc"]).slice(0, 8).map(text).join(".")
      return [where === "" ? message : `${where}: ${message}`]
    })
  return parts.length === 0 ? undefined : parts.join("; ")
}

/** OpenRouter passes an upstream's own error on as text in `metadata.raw`, often JSON itself. */
const upstreamText = (metadata: Json | undefined): string | undefined => {
  const raw = text(metadata?.["raw"])
  if (raw === undefined || !raw.startsWith("{")) return raw
  try {
    const message = read(JSON.parse(raw)).message
    return message === "" ? raw : message
  } catch {
    return raw
  }
}

const messageOf = (error: Json): string | undefined => {
  const message = error["message"]
  return (
    text(message) ??
    detailText(object(message)?.["detail"]) ??
    text(object(message)?.["message"]) ??
    detailText(error["detail"]) ??
    text(error["msg"])
  )
}

/** Reads a parsed JSON body, or the text of one that is not JSON. Never throws on what `JSON.parse` returns. */
export const read = (body: unknown): ErrorBody => {
  if (typeof body === "string") return body === "" ? empty : { ...empty, message: plain(body) }
  const outer = object(Array.isArray(body) ? body[0] : body)
  if (outer === undefined) return empty
  let error = outer
  for (let depth = 0; depth < 3; depth++) {
    const inner = object(error["error"])
    if (inner === undefined) break
    error = inner
  }
  const details = objects(error["details"])
  const metadata = object(error["metadata"])
  const upstream = upstreamText(metadata)
  // An error that is only a text: xAI, Ollama, Hugging Face.
  const own = messageOf(error) ?? text(error["error"]) ?? messageOf(outer) ?? ""
  const type = text(error["type"])
  return {
    message: upstream === undefined || own.includes(upstream) ? own : `${own}: ${upstream}`,
    code: text(error["code"]) ?? text(outer["code"]),
    // Anthropic's and the Responses stream's envelope says only that this is an error.
    type: type === "error" ? undefined : type,
    status: text(error["status"]),
    reason:
      text(object(error["details"])?.["error_code"]) ??
      text(object(error["innererror"])?.["code"]) ??
      details.map((detail) => text(detail["reason"])).find((reason) => reason !== undefined),
    details,
    metadata,
    requestId: text(outer["request_id"]) ?? text(error["request_id"]) ?? text(object(outer["x_groq"])?.["id"])
  }
}
