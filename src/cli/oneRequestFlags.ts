/** Flags of the commands that ask one thing at a time: where to, with which parameters, and how it is shown. */
import type * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { config } from "./configCommand.js"
import * as Flag from "./flags.js"

const { optional, text } = Flag

/** Where requests go, by the names of the flags. */
export const where = {
  config,
  provider: text("provider", "NAME", "Who answers: a provider, or the id of an endpoint in the config file"),
  model: text("model", "NAME", "The model. Default: the endpoint's own"),
  baseUrl: text("base-url", "URL", "Address of the API. Default: the provider's own"),
  task: text("task", "NAME", "Ask under this task of the config file")
}

/** What goes into each request. */
export const parameters = {
  system: text("system", "TEXT", "Standing instructions"),
  temperature: optional(Options.withDescription(Flag.number("temperature"), "Randomness")),
  maxTokens: optional(
    Options.withDescription(Flag.wholeNumber("max-tokens"), "Longest answer, in tokens, thoughts included")
  ),
  thinking: text("thinking", "HOW", "How much to think: off, low, medium, high, or the most tokens for it")
}

/** How calls are made. */
export const calls = {
  cache: text(
    "cache",
    "PATH|URL|memory|off",
    "Where answers are kept, to be had again for nothing: a SQLite file, a Redis server (redis://…), or nowhere"
  ),
  maxRetries: text("max-retries", "N|forever", "Attempts after the first. Default: 3"),
  timeout: text("timeout", "TIME", "Longest silence of the server: 90s, 10m. Default: 10m"),
  deadline: text("deadline", "TIME", "Longest time for an answer, retries included. Default: none")
}

/** What is shown beside answers. */
export const shown = {
  showThinking: Options.boolean("show-thinking").pipe(
    Options.withDescription("Show what the model thinks, on stderr")
  ),
  verbose: Options.boolean("verbose").pipe(
    Options.withDescription("Say on stderr what each answer used, and what it cost")
  )
}

const all = { ...where, ...parameters, ...calls, ...shown }

/** What all these commands are told. */
export type Flags = Command.Command.ParseConfig<typeof all>
