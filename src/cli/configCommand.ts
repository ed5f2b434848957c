/** `floodgate config show` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { choices, settings } from "../internal/configSettings.js"
import * as Flag from "./flags.js"

/** What the flags are for, where their names leave it open. */
const texts: Readonly<Record<string, string>> = {
  provider: "Only this provider, or the endpoint with this id",
  model: "Only endpoints of this model, or the model to ask",
  "base-url": "Address of the API",
  concurrency: "Requests under way at once",
  task: "The task to ask under",
  rps: "Most requests a second",
  rpm: "Most requests a minute",
  rpd: "Most requests a day",
  tpm: "Most tokens a minute",
  itpm: "Most input tokens a minute",
  otpm: "Most output tokens a minute",
  burst: "Requests that may start at once",
  redis: "Where limits are shared",
  cache: "Where answers are kept",
  "cache-ttl": "How long a stored answer may be used",
  namespace: "Part of the cache to use",
  "cache-mode": "What is done with stored answers",
  "max-retries": "Attempts after the first",
  timeout: "Longest one attempt may take",
  deadline: "Longest one request may take",
  budget: "The most that a run of batch or embed may cost",
  "log-level": "What is logged"
}

const modes = "read-write|bypass|refresh|read-only|replay"

/** What their values are called, as at `floodgate batch`. A number where nothing is said. */
const values: Readonly<Record<string, string>> = {
  provider: "NAME",
  model: "NAME",
  "base-url": "URL",
  concurrency: "N|adaptive",
  task: "NAME",
  redis: "URL",
  cache: "PATH|URL|memory|off",
  "cache-ttl": "TIME",
  namespace: "NAME",
  "cache-mode": modes,
  "max-retries": "N|forever",
  timeout: "TIME",
  deadline: "TIME",
  budget: "AMOUNT",
  "log-level": "LEVEL"
}

/** The flags that go before the file, by their own names; their texts are read as the file's values are. */
const overrides = Object.fromEntries(
  [...choices, ...settings.map(({ flag }) => flag)].map((flag) => [
    flag,
    Flag.text(flag, values[flag] ?? "N", texts[flag] ?? "As floodgate batch takes it")
  ])
)

/** What `--config` is, wherever it is taken. */
export const config = Flag.text(
  "config",
  "FILE",
  "Settings to go by. Default: FLOODGATE_CONFIG, floodgate.yaml here, ~/.floodgate/config.yaml"
)

const options = {
  config,
  json: Options.boolean("json").pipe(Options.withDescription("Print JSON")),
  overrides: Options.all(overrides)
}

export type ShowFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const configShowCommand = Command.make("show", options).pipe(
  Command.withDescription("Print the settings in force and where each is from; secrets are hidden")
)
