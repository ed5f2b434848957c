/** `floodgate ask PROMPT` */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Flag from "./flags.js"
import { calls, parameters, shown, where } from "./oneRequestFlags.js"

const prompt = Args.text({ name: "PROMPT" }).pipe(
  Args.withDescription("What to ask. Text that is piped in follows it"),
  Args.repeated
)

const { cache, ...attempts } = calls

/** As a config file writes them. */
const cacheModes = {
  "read-write": "read_write",
  bypass: "bypass",
  refresh: "refresh",
  "read-only": "read_only",
  replay: "replay"
} as const

const options = {
  prompt,
  ...parameters,
  image: Options.text("image").pipe(
    Options.withPseudoName("FILE|URL"),
    Options.repeated,
    Options.withDescription("An image to look at; repeatable")
  ),
  file: Options.text("file").pipe(
    Options.withPseudoName("FILE"),
    Options.repeated,
    Options.withDescription("A PDF, a recording or a text to go with the prompt; repeatable")
  ),
  schema: Flag.text(
    "schema",
    "FILE",
    "JSON Schema that the answer must fit: prints the value, and asks again where it does not fit"
  ),
  ...where,
  json: Options.boolean("json").pipe(
    Options.withDescription("Print the answer as JSON: text, usage, cost where the model has a price")
  ),
  noStream: Options.boolean("no-stream").pipe(
    Options.withDescription("Print the answer when it is whole. Default where the output is no terminal")
  ),
  ...shown,
  cache,
  cacheTtl: Flag.text(
    "cache-ttl",
    "TIME",
    "How long a stored answer may be used: 12h, 7d. Default: for ever"
  ),
  namespace: Flag.text("namespace", "NAME", "Part of the cache to use"),
  cacheMode: Flag.optional(
    Flag.choice("cache-mode", cacheModes).pipe(
      Options.withDescription(
        "read-write (the default), bypass: neither, refresh: ask again and store, read-only: store nothing, replay: send nothing"
      )
    )
  ),
  ...attempts
}

/** What the command line says, as it was written. */
export type AskFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const askCommand = Command.make("ask", options).pipe(
  Command.withDescription("Ask one thing, and read the answer as it comes")
)
