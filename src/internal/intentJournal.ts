/**
 * Which calls were begun, as lines beside the output:
 *
 * - `{"floodgate":"journal","version":1,"base":<bytes>}`: the output had this size when the journal began;
 *   a row beyond it is the outcome of a call in this journal.
 * - `{"unknown":<key>}`: a call of an earlier run whose outcome is still unknown.
 * - `{"begin":<key>}`: a call about to be made.
 * - `{"resent":<key>}`: the outcome of an earlier call was unknown, and it is made once more. Kept until the end of
 *   the last run, for its receipt.
 *
 * So the calls with unknown outcome are those begun (or unknown before: the same call sent again is one)
 * less the rows beyond `base`, key by key. An outcome needs no line here.
 */
import * as fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { CheckpointError, io } from "./checkpointError.js"

const version = 1

const Header = Schema.parseJson(
  Schema.Struct({ floodgate: Schema.Literal("journal"), version: Schema.Number, base: Schema.Number })
)
const Line = Schema.parseJson(
  Schema.Union(
    Schema.Struct({ begin: Schema.String }),
    Schema.Struct({ unknown: Schema.String }),
    Schema.Struct({ resent: Schema.String })
  )
)
const decodeHeader = Schema.decodeUnknownEither(Header)
const decodeLine = Schema.decodeUnknownEither(Line)

/** How many calls of each key; keys with none are left out. */
export interface Tally {
  readonly add: (key: string, count: number) => void
  readonly counts: ReadonlyMap<string, number>
}

export const tally = (): Tally => {
  const counts = new Map<string, number>()
  return {
    counts,
    add: (key, count) => {
      const next = (counts.get(key) ?? 0) + count
      if (next > 0) counts.set(key, next)
      else counts.delete(key)
    }
  }
}

export interface Intents {
  /** Size of the output when the journal began. */
  readonly base: number
  readonly unknown: Tally
  readonly begun: Tally
  /** Keys of calls that were made again though an earlier one may have been answered. */
  readonly resent: ReadonlySet<string>
}

/** Per key, the calls that may have been made and have no outcome. */
export const open = (intents: Intents): ReadonlyArray<readonly [key: string, count: number]> => {
  const all = new Map(intents.unknown.counts)
  for (const [key, count] of intents.begun.counts) all.set(key, Math.max(count, all.get(key) ?? 0))
  return Array.from(all)
}

export const beginLine = (key: string): string => `{"begin":${JSON.stringify(key)}}`

export const resentLine = (key: string): string => `{"resent":${JSON.stringify(key)}}`

/** A journal that holds these intents and no more, as text. */
export const content = (intents: Intents): string => {
  const lines = [JSON.stringify({ floodgate: "journal", version, base: intents.base })]
  for (const [key, count] of intents.unknown.counts) {
    for (let at = 0; at < count; at++) lines.push(JSON.stringify({ unknown: key }))
  }
  for (const [key, count] of intents.begun.counts) {
    for (let at = 0; at < count; at++) lines.push(beginLine(key))
  }
  for (const key of intents.resent) lines.push(resentLine(key))
  return `${lines.join("\n")}\n`
}

/** Reads the journal an earlier run left. A torn last line is a call that was never made. */
export const read = (path: string): Effect.Effect<Intents | undefined, CheckpointError> =>
  Effect.gen(function* () {
    const text = yield* io("read", path, () =>
      fs.readFile(path, "utf8").catch((cause) => {
        if (cause?.code === "ENOENT") return undefined
        throw cause
      })
    )
    if (text === undefined) return undefined
    const [head = "", ...lines] = text.split("\n")
    const header = Either.getOrUndefined(decodeHeader(head))
    if (header === undefined) {
      return yield* new CheckpointError({
        reason: "NotACheckpoint",
        path,
        message: `${path} is not a journal of this tool; it was left as it is: move it or choose another output`
      })
    }
    if (header.version !== version) {
      return yield* new CheckpointError({
        reason: "Version",
        path,
        message: `${path} has format ${header.version} and this version reads ${version}: finish the run with the version that began it, or delete the journal (only the names of unfinished calls are lost)`
      })
    }
    const unknown = tally()
    const begun = tally()
    const resent = new Set<string>()
    for (const line of lines) {
      const intent = Either.getOrUndefined(decodeLine(line))
      if (intent === undefined) continue
      if ("begin" in intent) begun.add(intent.begin, 1)
      else if ("resent" in intent) resent.add(intent.resent)
      else unknown.add(intent.unknown, 1)
    }
    return { base: header.base, unknown, begun, resent }
  })
