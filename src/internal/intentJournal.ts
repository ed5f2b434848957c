/**
 * Which calls were begun, as lines beside the output:
 *
 * - `{"floodgate":"journal","version":1,"base":<bytes>,"id":<text>}`: the output had this size when the journal began;
 *   a row beyond it is the outcome of a call in this journal. The id stays the same until the output is sealed.
 * - `{"unknown":<key>}`: a call of an earlier run whose outcome is still unknown.
 * - `{"begin":<key>}`: a call about to be made.
 * - `{"resent":<key>}`: the outcome of an earlier call was unknown, and it is made once more. Kept until the end of
 *   the last run, for its receipt.
 * - `{"ledger":<books>}`: what attempts cost, as sums to be added to those of the lines before. Versions that know
 *   nothing of it pass it over.
 * - `{"spending":{"money":<picodollars>,"tokens":<n>}}`: the most that all runs may have spent, of those with a budget,
 *   in place of the lines before; and the ceiling, once it was reached.
 *
 * So the calls with unknown outcome are those begun (or unknown before: the same call sent again is one)
 * less the rows beyond `base`, key by key. An outcome needs no line here.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Spending } from "./budgetRecord.js"
import { CheckpointError, io } from "./checkpointError.js"
import * as LedgerBooks from "./ledgerBooks.js"
import { Books } from "./ledgerBooks.js"

const version = 1

const Header = Schema.parseJson(
  Schema.Struct({
    floodgate: Schema.Literal("journal"),
    version: Schema.Number,
    base: Schema.Number,
    id: Schema.optional(Schema.String)
  })
)
const Spent = Schema.Struct({
  money: Schema.BigInt,
  tokens: Schema.Number,
  usedUp: Schema.optional(
    Schema.Struct({ money: Schema.optional(Schema.BigInt), tokens: Schema.optional(Schema.Number) })
  )
})
const Line = Schema.parseJson(
  Schema.Union(
    Schema.Struct({ begin: Schema.String }),
    Schema.Struct({ unknown: Schema.String }),
    Schema.Struct({ resent: Schema.String }),
    Schema.Struct({ spending: Spent }),
    // last: to a schema of anything, a key that is not there is one too
    Schema.Struct({ ledger: Schema.Unknown })
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
  /** Names the journal: who has counted what it holds knows it again by this. */
  readonly id: string
  /** Size of the output when the journal began. */
  readonly base: number
  readonly unknown: Tally
  readonly begun: Tally
  /** Keys of calls that were made again though an earlier one may have been answered. */
  readonly resent: ReadonlySet<string>
  /** What all attempts so far cost. */
  readonly books: Books
  /** What runs with a budget may have spent; absent without one. */
  readonly spending: Spending | undefined
}

/** Per key, the calls that may have been made and have no outcome. */
export const open = (intents: Intents): ReadonlyArray<readonly [key: string, count: number]> => {
  const all = new Map(intents.unknown.counts)
  for (const [key, count] of intents.begun.counts) all.set(key, Math.max(count, all.get(key) ?? 0))
  return Array.from(all)
}

export const beginLine = (key: string): string => `{"begin":${JSON.stringify(key)}}`

export const resentLine = (key: string): string => `{"resent":${JSON.stringify(key)}}`

export const ledgerLine = (books: Books): string => `{"ledger":${LedgerBooks.encode(books)}}`

const encodeSpent = Schema.encodeSync(Spent)

export const spendingLine = (spending: Spending): string =>
  JSON.stringify({ spending: encodeSpent(spending) })

/** A journal that holds these intents and no more, as text. */
export const content = (intents: Intents): string => {
  const lines = [JSON.stringify({ floodgate: "journal", version, base: intents.base, id: intents.id })]
  for (const [key, count] of intents.unknown.counts) {
    for (let at = 0; at < count; at++) lines.push(JSON.stringify({ unknown: key }))
  }
  for (const [key, count] of intents.begun.counts) {
    for (let at = 0; at < count; at++) lines.push(beginLine(key))
  }
  for (const key of intents.resent) lines.push(resentLine(key))
  if (!intents.books.isEmpty) lines.push(ledgerLine(intents.books))
  if (intents.spending !== undefined) lines.push(spendingLine(intents.spending))
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
    const books = new Books()
    let spending: Spending | undefined
    for (const line of lines) {
      const intent = Either.getOrUndefined(decodeLine(line))
      if (intent === undefined) continue
      if ("begin" in intent) begun.add(intent.begin, 1)
      else if ("resent" in intent) resent.add(intent.resent)
      else if ("unknown" in intent) unknown.add(intent.unknown, 1)
      else if ("spending" in intent) spending = intent.spending
      else {
        const more = LedgerBooks.decode(intent.ledger)
        if (more === undefined) {
          return yield* new CheckpointError({
            reason: "Version",
            path,
            message: `${path} holds a ledger that this version does not read: finish the run with the version that began it, or delete the journal (only what was paid so far and the names of unfinished calls are lost)`
          })
        }
        books.merge(more)
      }
    }
    // earlier versions gave it none: the same text is the same journal
    const { base, id = createHash("sha256").update(text).digest("hex") } = header
    return { id, base, unknown, begun, resent, books, spending }
  })
