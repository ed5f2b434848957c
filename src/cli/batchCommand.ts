/** `floodgate batch INPUT --output OUT` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"
import * as Flag from "./flags.js"

const input = Args.text({ name: "INPUT" }).pipe(
  Args.withDescription("File of requests, one JSON object a line; - reads the standard input")
)

const output = Options.text("output").pipe(
  Options.withAlias("o"),
  Options.withPseudoName("FILE"),
  Options.withDescription("File for the outcomes, one JSON object a line, in input order at the end")
)

const optional = <A>(option: Options.Options<A>) =>
  option.pipe(Options.optional, Options.map(Option.getOrUndefined))

const text = (name: string, pseudoName: string, description: string) =>
  optional(Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description)))

const number = (name: string, description: string) =>
  optional(Options.withDescription(Flag.number(name), description))

const options = {
  input,
  output,
  prompt: text("prompt", "TEMPLATE", "Prompt made from a record's fields: 'Solve: {{question}}'"),
  system: text("system", "TEXT", "Standing instructions of requests that have none; may have {{fields}}"),
  provider: Options.choice("provider", ["openai"]).pipe(
    Options.withDefault("openai" as const),
    Options.withDescription("Who answers; the key comes from the environment")
  ),
  model: text("model", "NAME", "Model of requests that name none. Default: OPENAI_MODEL"),
  baseUrl: text("base-url", "URL", "Address of the API. Default: OPENAI_BASE_URL, or OpenAI's own"),
  concurrency: Options.text("concurrency").pipe(
    Options.withPseudoName("N|adaptive"),
    Options.withDefault("64"),
    Options.withDescription("Requests under way at once; adaptive finds what the server bears. Default: 64")
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
  deadline: text("deadline", "TIME", "Longest one request may take, retries included. Default: none"),
  temperature: number("temperature", "Randomness of requests that set none"),
  maxTokens: optional(
    Options.withDescription(
      Flag.wholeNumber("max-tokens"),
      "Longest answer of requests that set none, in tokens"
    )
  ),
  cache: Options.text("cache").pipe(
    Options.withPseudoName("PATH|memory|off"),
    Options.withDefault("memory"),
    Options.withDescription(
      "Where answers are kept, to be had again for nothing: a SQLite file, memory (the default), or nowhere"
    )
  ),
  receipt: text("receipt", "FILE", "File for the summary, as JSON"),
  noProgress: Options.boolean("no-progress").pipe(Options.withDescription("Show no progress"))
}

/** What the command line says, as it was written. */
export type Flags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const batchCommand = Command.make("batch", options).pipe(
  Command.withDescription("Answer a file of requests. Run again, the same command does only what is missing")
)
