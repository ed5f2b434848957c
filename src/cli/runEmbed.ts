/** What `floodgate embed` does: a run whose questions are texts. */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Embedder from "../internal/embedder.js"
import { Providers } from "../Providers.js"
import { Router } from "../Router.js"
import * as AnswerColumns from "./answerColumns.js"
import type { CliError } from "./CliError.js"
import type { EmbedFlags } from "./embedCommand.js"
import * as EmbedRecord from "./embedRecord.js"
import { checkPositive } from "./flags.js"
import type { Questions } from "./questions.js"
import { runRows } from "./runBatch.js"

/** Texts under way at once, at most, and vectors that a cache in memory keeps: 100 MB of 1,536 numbers each. */
const mostTexts = 8_192

/** As many as fill the calls: a call takes many texts. */
const textsUnderWay: Questions["workers"] = (calls, services) => {
  const { endpoints } = Context.get(services, Router)
  const { inputs } = Embedder.limitsOf(Context.get(services, Providers), endpoints)
  return Math.max(calls, Math.min(calls * inputs, mostTexts))
}

/** Texts to be embedded. */
export const texts = (flags: Pick<EmbedFlags, "text" | "dimensions" | "purpose" | "encoding">): Questions => {
  const defaults = { text: flags.text, dimensions: flags.dimensions, purpose: flags.purpose }
  return {
    fromFields: (fields, isTable) => EmbedRecord.fromFields(fields, defaults, isTable),
    templates: flags.text === undefined ? undefined : { flag: "text", texts: [flags.text] },
    samples: undefined,
    columns: AnswerColumns.embedding,
    encoding: flags.encoding ?? "float",
    remembered: mostTexts,
    workers: textsUnderWay
  }
}

/** The exit code: 0 all succeeded, 1 some failed. */
export const runEmbed = (
  flags: EmbedFlags
): Effect.Effect<number, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.zipRight(checkPositive("dimensions", flags.dimensions), runRows(flags, texts(flags)))
