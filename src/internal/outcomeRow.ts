/** What the checkpoint reads of an outcome line; all else in it belongs to others. */
import { isJsonObject } from "./jsonObject.js"

export interface OutcomeRow {
  readonly index: number
  readonly success: boolean
  readonly key: string
  /** The whole line, parsed. */
  readonly value: unknown
}

/** Why a line is no row of ours: not JSON, JSON of something else, or a row of another format. */
export type Unreadable = "broken" | "foreign" | "version"

/**
 * Reads one line. Rows of this format carry no `meta.format`; a later format will say so there, and is
 * refused. An outcome without `meta.key` cannot be matched to a request and counts as another format.
 */
export const parse = (line: string): OutcomeRow | Unreadable => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return "broken"
  }
  if (!isJsonObject(value)) return "foreign"
  const { index, status, meta } = value
  if (typeof index !== "number" || !Number.isSafeInteger(index) || index < 0) return "foreign"
  if (status !== "success" && status !== "error") return "foreign"
  if (!isJsonObject(meta) || typeof meta["key"] !== "string" || meta["format"] !== undefined) return "version"
  return { index, success: status === "success", key: meta["key"], value }
}

const head = '{"index":'

/** How the line of row `index` begins. */
export const prefix = (index: number): string => `${head}${index},`

/** Whether these bytes begin as a row does, as far as they go. */
export const isBeginning = (bytes: Buffer): boolean =>
  head.startsWith(bytes.toString("latin1", 0, head.length))

/** Whether these bytes can be a damaged row: the beginning of one, or a block that was never filled. */
export const isDamaged = (bytes: Buffer): boolean => isBeginning(bytes) || bytes.includes(0)

/** The row with its index changed, all other bytes as they are. */
export const withIndex = (bytes: Buffer, index: number): Buffer => {
  if (bytes.toString("latin1", 0, head.length) === head) {
    const end = bytes.indexOf(",", head.length)
    const digits = bytes.toString("latin1", head.length, end)
    if (digits === String(index)) return bytes
    if (/^\d+$/.test(digits)) return Buffer.concat([Buffer.from(prefix(index)), bytes.subarray(end + 1)])
  }
  // Somebody has reformatted the file.
  const value: unknown = JSON.parse(bytes.toString())
  if (!isJsonObject(value) || value["index"] === index) return bytes
  return Buffer.from(JSON.stringify({ ...value, index }))
}
