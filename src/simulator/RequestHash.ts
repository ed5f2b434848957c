/**
 * The identity of a request as the simulator sees it: a hash of its canonical body.
 */
import { createHash } from "node:crypto"

/** The first 64 bits of a SHA-256: as text for people and logs, as two words for arithmetic. */
export interface RequestHash {
  /** 16 hexadecimal digits; empty for a request whose body was never read as JSON. */
  readonly text: string
  readonly high: number
  readonly low: number
}

/** Stands for a request without a body of its own: a listing, a request that is not JSON. */
export const none: RequestHash = { text: "", high: 0, low: 0 }

/** Fields that say how an answer is delivered, not what is asked. */
const delivery = new Set(["stream", "stream_options"])

const canonical = (value: unknown, top: boolean): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((item) => canonical(item, false))
  const out: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!(top && delivery.has(key))) out[key] = canonical(field, false)
  }
  return out
}

/** Hash of any text. */
export const ofText = (text: string): RequestHash => {
  const digest = createHash("sha256").update(text).digest()
  return { text: digest.toString("hex", 0, 8), high: digest.readUInt32BE(0), low: digest.readUInt32BE(4) }
}

/**
 * Hash of a request body, the same for every order of its keys. `stream` and `stream_options` are left
 * out at the top level: a streamed question has the answer of the same question asked plainly.
 */
export const ofBody = (body: unknown): RequestHash => ofText(JSON.stringify(canonical(body, true)) ?? "")
