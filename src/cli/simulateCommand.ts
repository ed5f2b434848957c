/** `floodgate simulate` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"
import * as Flag from "./flags.js"

const optional = <A>(option: Options.Options<A>) =>
  option.pipe(Options.optional, Options.map(Option.getOrUndefined))

const number = (name: string, description: string) =>
  optional(Options.withDescription(Flag.number(name), description))

const text = (name: string, pseudoName: string, description: string) =>
  optional(Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description)))

const options = {
  port: Flag.wholeNumber("port").pipe(
    Options.withDefault(4010),
    Options.withDescription("Port to listen on; 0 takes any free one. Default: 4010")
  ),
  host: Options.text("host").pipe(
    Options.withPseudoName("ADDRESS"),
    Options.withDefault("127.0.0.1"),
    Options.withDescription("Address to listen on. Default: 127.0.0.1")
  ),
  latency: text("latency", "TIME", "Time to an answer: 300ms, or evenly from 200ms..2s"),
  tokensPerSecond: number("tokens-per-second", "Speed of generation, added to the latency"),
  outputTokens: text("output-tokens", "N", "Tokens of an answer: 50, or evenly from 20..60 (the default)"),
  rps: number("rps", "Requests a second that are let through; 429 for the rest"),
  rpm: number("rpm", "Requests a minute"),
  rpd: number("rpd", "Requests a day"),
  tpm: number("tpm", "Tokens a minute, input and output together"),
  itpm: number("itpm", "Input tokens a minute"),
  otpm: number("otpm", "Output tokens a minute"),
  quota: optional(
    Options.withDescription(
      Flag.wholeNumber("quota"),
      "Charged requests after which the account has no credit left (insufficient_quota). Default: no end"
    )
  ),
  key: text("key", "KEY", "The one API key that is good. Default: any"),
  reasoningTokens: text(
    "reasoning-tokens",
    "N",
    "Hidden tokens of reasoning models: 200, or evenly from 100..900. Default: 0"
  ),
  batchTakes: text("batch-takes", "TIME", "How long a job of the batch APIs takes. Default: no time"),
  batchExpires: text("batch-expires", "TIME", "When a job expires that has not ended. Default: 24h"),
  maxConcurrency: number("max-concurrency", "Requests in flight at once"),
  fault: Options.text("fault").pipe(
    Options.withPseudoName("KIND=SHARE[:TIME]"),
    Options.withDescription(
      "Share of attempts that go wrong; repeatable. A status (500=5%, 429=5%:1s with retry-after), reset, stall, truncate, malformed, refusal, contentFilter, empty, errorBody, or delay=5%:10s"
    ),
    Options.repeated
  ),
  script: text(
    "script",
    "FILE",
    'JSON list of faults for chosen requests: [{"at": 3, "fault": {"kind": "reset"}}]'
  ),
  models: text("models", "LIST", "Models that exist, with commas between; default: every one"),
  contextWindow: number("context-window", "Tokens of prompt and answer that a model takes"),
  lenient: Options.boolean("lenient").pipe(
    Options.withDescription("Ignore unknown parameters, as compatible servers do; providers refuse them")
  ),
  seed: Flag.wholeNumber("seed").pipe(
    Options.withDefault(1),
    Options.withDescription("Decides answers, latencies and faults. Default: 1")
  ),
  log: text("log", "FILE", "File to which each request is appended, as JSON lines")
}

/** What the command line says, as it was written. */
export type Flags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const simulateCommand = Command.make("simulate", options).pipe(
  Command.withDescription(
    "Start a local server that speaks the providers' APIs, with limits, latency, faults and a billing log"
  )
)
