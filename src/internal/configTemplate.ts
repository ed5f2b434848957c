/** The config file that `floodgate init` begins with. */
import { find, type Name } from "./providerRegistry.js"

export interface Answers {
  readonly provider: Name
  readonly model: string
  /** The variable that holds the key; absent where none is needed. */
  readonly keyVariable: string | undefined
  readonly baseUrl: string | undefined
}

// a text that YAML takes for nothing else
const scalar = (text: string): string =>
  /^[A-Za-z][\w./-]*$/.test(text) && !/^(true|false|null)$/i.test(text) ? text : JSON.stringify(text)

/** Where editors find the shape of the file. */
const schema = "./node_modules/floodgate/floodgate.schema.json"

/** A config file with comments, for these answers. */
export const template = ({ baseUrl, keyVariable, model, provider }: Answers): string => `\
# yaml-language-server: $schema=${schema}
#
# Settings of floodgate: what they come to is shown by \`floodgate config show\`.
# \${NAME} is the variable NAME, of the environment or of the file .env here.

# Where requests go. Several share the work, by weight.
endpoints:
  - id: main
    provider: ${provider}
    model: ${scalar(model)}
${keyVariable === undefined ? "" : `    api_key: \${${keyVariable}}\n`}${baseUrl === undefined ? "" : `    base_url: ${scalar(baseUrl)}\n`}\
    # What your account allows; what the server states tightens it.
    # limits: { rpm: 500, tpm: 200000 }
    # weight: 1

# Limits by model; what a pattern leaves open is as "*" has it.
# limits:
#   "gpt-*": { rpm: 500 }
#   "*": { concurrency: 64 }

# Which endpoint is asked: round_robin, fallback, lowest_latency, lowest_cost, …
# router:
#   strategy: round_robin

# Named defaults: floodgate batch --task label
# tasks:
#   label:
#     system: Answer with one word.
#     parameters: { temperature: 0, max_tokens: 5 }

# Where answers are kept, to be had again for nothing:
# a SQLite file, redis://…, memory or off.
cache:
  store: answers.db
  # ttl: 30d

# retry: { max_retries: 8, timeout: 10m }

# The most that a run of batch or embed may cost; ask and chat are not counted.
# budget: 25 USD

batch:
  concurrency: 64
`

/** The variable that holds the key of a provider, where it has one. */
export const keyVariableOf = (provider: Name): string | undefined => {
  const entry = find(provider)
  return entry?.keyless === true ? undefined : entry?.key
}

/** A model to begin with, where nobody names one. */
export const exampleModels: Partial<Readonly<Record<Name, string>>> = {
  openai: "gpt-5-mini",
  "openai-responses": "gpt-5-mini",
  anthropic: "claude-haiku-4-5",
  gemini: "gemini-2.5-flash",
  mistral: "mistral-small-latest"
}
