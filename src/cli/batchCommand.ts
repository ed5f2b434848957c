/** `floodgate batch INPUT --output OUT` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type { Mode } from "../Cache.js"
import { config } from "./configCommand.js"
import { inputFormats, type OutputFormat, outputFormats } from "./fileFormat.js"
import * as Flag from "./flags.js"
import { modes as progressModes } from "./progressModes.js"

const input = Args.text({ name: "INPUT" }).pipe(
  Args.withDescription(
    "File of requests: JSON objects, one a line, or a table (.csv, .tsv) whose columns are the fields; - reads the standard input"
  )
)

const output = Options.text("output").pipe(
  Options.withAlias("o"),
  Options.withPseudoName("FILE"),
  Options.withDescription(
    "File for the outcomes, in input order at the end. JSON lines are durable one by one; of any other format they are kept so in FILE.floodgate.jsonl, which the next run goes on from, and FILE is made anew of them when a run ends or is stopped"
  )
)

const { optional, text } = Flag

const number = (name: string, description: string) =>
  optional(Options.withDescription(Flag.number(name), description))

const modes: Readonly<Record<string, Mode>> = {
  "read-write": "readWrite",
  bypass: "bypass",
  refresh: "refresh",
  "read-only": "readOnly",
  replay: "replay"
}

/** Options of every command that reads records. */
export const inputOptions = {
  input,
  inputFormat: optional(
    Flag.choice("input-format", inputFormats).pipe(
      Options.withDescription("Format of INPUT. Default: by its ending, or jsonl")
    )
  )
}

export const outputOption = { output }

export const formatOption = {
  format: optional(
    Flag.choice("format", outputFormats).pipe(
      Options.withDescription(
        "Format of the output. Default: by its ending, or jsonl. A table (csv, tsv) has the input's columns and the answer's, named answer_… where the input has one of that name; texts are written as they are, and a spreadsheet may take one that begins with = for a formula. openai: the output file of OpenAI's Batch API"
      )
    )
  )
}

/** Which records are asked. */
export const selectionOptions = {
  filter: Options.text("filter").pipe(
    Options.withPseudoName("FIELD=VALUE"),
    Options.repeated,
    Options.withDescription(
      "Ask only rows whose field is this, or with != is not; several must all hold. status is the outcome of an earlier run with this output (success, error, none), error its kind (RateLimitError): status=error asks again what failed and leaves the rest. record.status is a field of that name"
    )
  ),
  limit: optional(
    Options.withDescription(
      Flag.wholeNumber("limit"),
      "Ask only the first N rows, of those that --filter leaves"
    )
  ),
  sample: optional(
    Options.withDescription(
      Flag.wholeNumber("sample"),
      "Ask only N rows drawn at random, in input order: with the same seed the same ones, and with a larger N these and more"
    )
  ),
  seed: optional(Options.withDescription(Flag.wholeNumber("seed"), "Seed of --sample. Default: 0"))
}

/** What chats are made of records. */
export const promptOptions = {
  prompt: text("prompt", "TEMPLATE", "Prompt made from a record's fields: 'Solve: {{question}}'"),
  system: text("system", "TEXT", "Standing instructions of requests that have none; may have {{fields}}")
}

/** Who is asked, and how fast. */
export const endpointOptions = {
  config,
  provider: text(
    "provider",
    "NAME",
    "Who answers: a provider (openai, anthropic, gemini, …), or the id of an endpoint in the config file; the key comes from the environment. Default: the endpoints of the config file, or openai"
  ),
  model: text(
    "model",
    "NAME",
    "Model of requests that name none. Default: the config file's, or the provider's variable, such as OPENAI_MODEL"
  ),
  baseUrl: text(
    "base-url",
    "URL",
    "Address of the API. Default: the provider's variable, such as OPENAI_BASE_URL, or its own"
  ),
  task: text(
    "task",
    "NAME",
    "Ask under this task of the config file: its instructions, parameters, endpoints"
  ),
  concurrency: text(
    "concurrency",
    "N|adaptive",
    "Requests under way at once; adaptive finds what the server bears. Default: 64"
  ),
  rps: number("rps", "Most requests a second"),
  rpm: number("rpm", "Most requests a minute"),
  rpd: number("rpd", "Most requests a day"),
  tpm: number("tpm", "Most tokens a minute, input and output together"),
  itpm: number("itpm", "Most input tokens a minute"),
  otpm: number("otpm", "Most output tokens a minute"),
  burst: number("burst", "Requests that may start at once. Default: 1 % of the limit"),
  redis: text("redis", "URL", "Share the limits with other processes through this Redis server"),
  maxRetries: text("max-retries", "N|forever", "Attempts after the first. Default: 8"),
  timeout: text("timeout", "TIME", "Longest one attempt may take: 90s, 10m. Default: 10m"),
  deadline: text("deadline", "TIME", "Longest one request may take, retries included. Default: none")
}

export const providerBatchOption = {
  providerBatch: Options.boolean("provider-batch").pipe(
    Options.withDescription(
      "Go through the provider's own batch API: half the price, within a day. A run that is stopped leaves its jobs running, and the same command waits for them again"
    )
  )
}

/** What a run may cost. */
export const budgetOptions = {
  budget: text(
    "budget",
    "AMOUNT",
    'Most that may be spent on the output, earlier runs included: "25 USD". What is left then is not asked; the same command with a higher one goes on. Default: no end'
  ),
  budgetTokens: optional(
    Options.withDescription(
      Flag.wholeNumber("budget-tokens"),
      "The same in tokens, input and output together"
    )
  ),
  budgetUnpriced: optional(
    Flag.choice("budget-unpriced", { allow: "allow", refuse: "refuse" } as const).pipe(
      Options.withDescription(
        "Whether to ask models without a price in spite of a --budget, which knows nothing of what they cost. Default: refuse"
      )
    )
  )
}

export const parameterOptions = {
  temperature: number("temperature", "Randomness of requests that set none"),
  maxTokens: optional(
    Options.withDescription(
      Flag.wholeNumber("max-tokens"),
      "Longest answer of requests that set none, in tokens"
    )
  )
}

/** What is done with answers, to be had again. */
export const cacheOptions = {
  cache: text(
    "cache",
    "PATH|URL|memory|off",
    "Where answers are kept, to be had again for nothing: a SQLite file, a Redis server (redis://…), memory (the default), or nowhere"
  ),
  cacheTtl: text("cache-ttl", "TIME", "How long a stored answer may be used: 12h, 7d. Default: for ever"),
  namespace: text("namespace", "NAME", "Part of the cache to use; others know nothing of its answers"),
  cacheMode: optional(
    Flag.choice("cache-mode", modes).pipe(
      Options.withDescription(
        "read-write (the default), bypass: neither, refresh: ask again and store, read-only: store nothing, replay: send nothing"
      )
    )
  )
}

export const samplesOption = {
  samples: optional(
    Options.withDescription(
      Flag.wholeNumber("samples"),
      "Ask each request N times, for N answers: N lines in a row, with a sample from 0 to N-1"
    )
  )
}

/** What is told of a run. */
export const reportOptions = {
  receipt: text("receipt", "FILE", "File for the summary, as JSON"),
  progress: Flag.choice("progress", progressModes).pipe(
    Options.withDefault("auto" as const),
    Options.withDescription(
      "How progress is shown on stderr. bar: drawn anew in place; plain: a line every few seconds; json: all that is said as JSON, one object a line; none. Default: auto, a bar on a terminal and else plain"
    )
  ),
  noProgress: Options.boolean("no-progress").pipe(Options.withDescription("The same as --progress none")),
  stats: Options.boolean("stats").pipe(
    Options.withDescription(
      "Show endpoints one by one: while the run goes on, and as a table of costs at its end"
    )
  ),
  calls: text(
    "calls",
    "FILE",
    "File to append a line to for each call: time, model, outcome, tokens, cost, latency, cache, the prompt's beginning. A .jsonl or a .csv"
  ),
  callsPrompt: optional(
    Options.withDescription(
      Flag.wholeNumber("calls-prompt"),
      "Characters of each prompt that --calls writes; 0 for none. Default: 80"
    )
  ),
  logFile: text(
    "log-file",
    "FILE",
    "File to append the log to: JSON lines where its name ends with .json or .jsonl, and else logfmt"
  ),
  verbose: Options.boolean("verbose").pipe(
    Options.withDescription("Log each failed attempt, and tell what an error comes from")
  )
}

/** Options that settings and services are made of. */
const serviceOptions = {
  ...endpointOptions,
  ...providerBatchOption,
  ...budgetOptions,
  ...cacheOptions
}

/** What the command line says of services, as it was written. */
export interface ServiceFlags extends Command.Command.ParseConfig<typeof serviceOptions> {}

/** Options of every command that asks the records of a file, whatever it asks. */
const runOptions = {
  ...inputOptions,
  ...outputOption,
  ...selectionOptions,
  ...serviceOptions,
  ...reportOptions
}

/** What the command line says of a run, as it was written. */
export interface RunFlags extends Command.Command.ParseConfig<typeof runOptions> {
  readonly format: OutputFormat | undefined
}

const options = {
  ...inputOptions,
  ...outputOption,
  ...formatOption,
  ...selectionOptions,
  ...promptOptions,
  ...endpointOptions,
  ...providerBatchOption,
  ...budgetOptions,
  ...parameterOptions,
  ...cacheOptions,
  ...samplesOption,
  ...reportOptions
}

/** What the command line says, as it was written. */
export type Flags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const batchCommand = Command.make("batch", options).pipe(
  Command.withDescription("Answer a file of requests. Run again, the same command does only what is missing")
)
