/** `floodgate cache stats|clear|export|import` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Flag from "./flags.js"

const cache = Flag.text("cache", "PATH|URL", "The cache: a SQLite file, or a Redis server (redis://…)")

const namespace = (description: string) => Flag.text("namespace", "NAME", description)

const json = Options.boolean("json").pipe(Options.withDescription("Say it as JSON"))

const statsOptions = {
  cache,
  namespace: namespace("Only this part of the cache. Default: all"),
  json
}
export type StatsFlags = Command.Command.ParseConfig<typeof statsOptions>

export const statsCommand = Command.make("stats", statsOptions).pipe(
  Command.withDescription("Tell what a cache holds")
)

const clearOptions = {
  cache,
  namespace: namespace("The part of the cache to clear. Default: the one without a name"),
  all: Options.boolean("all").pipe(Options.withDescription("Clear the whole cache")),
  expired: Options.boolean("expired").pipe(Options.withDescription("Only answers that have expired")),
  yes: Options.boolean("yes").pipe(
    Options.withAlias("y"),
    Options.withDescription("Do not ask, as in a terminal it does")
  ),
  json
}
export type ClearFlags = Command.Command.ParseConfig<typeof clearOptions>

export const clearCommand = Command.make("clear", clearOptions).pipe(
  Command.withDescription("Delete the answers of a cache")
)

const exportOptions = {
  cache,
  namespace: namespace("Only this part of the cache. Default: all"),
  output: Options.text("output").pipe(
    Options.withAlias("o"),
    Options.withPseudoName("FILE"),
    Options.withDefault("-"),
    Options.withDescription("File for the answers, one JSON object a line. Default: -, the standard output")
  )
}
export type ExportFlags = Command.Command.ParseConfig<typeof exportOptions>

export const exportCommand = Command.make("export", exportOptions).pipe(
  Command.withDescription("Write the answers of a cache as JSON lines")
)

const programs = { floodgate: "floodgate", fluxllm: "fluxllm", flexllm: "flexllm" } as const

const importOptions = {
  input: Args.text({ name: "FILE" }).pipe(
    Args.withDescription("File of answers, one JSON object a line; - reads the standard input")
  ),
  cache,
  from: Flag.optional(
    Flag.choice("from", programs).pipe(
      Options.withDescription("Whose file it is. Default: what each line looks like")
    )
  ),
  namespace: namespace("Part of the cache to put them into. Default: the one they come from"),
  cacheTtl: Flag.text(
    "cache-ttl",
    "TIME",
    "How long answers without an end of their own may be used: 12h, 7d. Default: for ever"
  ),
  baseUrl: Flag.text(
    "base-url",
    "URL",
    "Who gave the answers of another program: part of their keys. Default: OPENAI_BASE_URL, or OpenAI's own"
  ),
  model: Flag.text("model", "NAME", "Model of such answers whose line names none. Default: OPENAI_MODEL"),
  temperature: Flag.optional(
    Options.withDescription(Flag.number("temperature"), "Randomness with which such answers were asked for")
  ),
  maxTokens: Flag.optional(
    Options.withDescription(Flag.wholeNumber("max-tokens"), "Longest answer that was asked for, in tokens")
  ),
  assumeComplete: Options.boolean("assume-complete").pipe(
    Options.withDescription("Take such answers for complete where their line does not say")
  ),
  json
}
export type ImportFlags = Command.Command.ParseConfig<typeof importOptions>

export const importCommand = Command.make("import", importOptions).pipe(
  Command.withDescription("Put answers from JSON lines into a cache; what is there already stays")
)
