/** What is asked of the records of an input. All else about a run is the same, whatever is asked. */
import type * as Context from "effect/Context"
import type * as Either from "effect/Either"
import type { Services } from "../internal/configServices.js"
import type { JsonObject } from "../internal/jsonObject.js"
import type { Encoding } from "../internal/outcomeLine.js"
import type { Request } from "../Request.js"
import * as AnswerColumns from "./answerColumns.js"
import type { Flags } from "./batchCommand.js"
import * as Record from "./record.js"

/** How a command makes requests of records, and shows their outcomes. */
export interface Questions {
  /** The request that these fields make, or what is wrong with them. Those of a table are all texts. */
  readonly fromFields: (fields: JsonObject, isTable: boolean) => Either.Either<Request, string>
  /** The texts that are filled in with fields, if requests are made so, the first by this flag. */
  readonly templates: { readonly flag: string; readonly texts: ReadonlyArray<string> } | undefined
  /** How often each request is asked; absent where that was not said. */
  readonly samples: number | undefined
  /** What a table has of an outcome. */
  readonly columns: ReadonlyArray<AnswerColumns.Column>
  /** How vectors are written. */
  readonly encoding: Encoding
  /** How many answers a cache in memory keeps where nobody says; absent: as many as ever. */
  readonly remembered?: number | undefined
  /** How many requests are under way at once where this many calls may be. */
  readonly workers: (calls: number, services: Context.Context<Services>) => number
}

/** What the flags say of every chat. */
const defaultsOf = (
  flags: Pick<Flags, "prompt" | "system" | "temperature" | "maxTokens">
): Record.Defaults => ({
  prompt: flags.prompt,
  system: flags.system,
  parameters: {
    ...(flags.temperature === undefined ? undefined : { temperature: flags.temperature }),
    ...(flags.maxTokens === undefined ? undefined : { max_tokens: flags.maxTokens })
  }
})

/** Chats: what `floodgate batch` asks. */
export const chats = (
  flags: Pick<Flags, "prompt" | "system" | "temperature" | "maxTokens" | "samples">
): Questions => {
  const defaults = defaultsOf(flags)
  const { prompt, system = "" } = defaults
  return {
    fromFields: (fields, isTable) => Record.fromFields(fields, defaults, isTable),
    templates: prompt === undefined ? undefined : { flag: "prompt", texts: [prompt, system] },
    samples: flags.samples,
    columns: AnswerColumns.chat,
    encoding: "float",
    workers: (calls) => calls
  }
}
