/** The shape of a config file. What editors are told of it is made of it as well. */
import * as JSONSchema from "effect/JSONSchema"
import type * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import type { CacheControl } from "../Request.js"
import {
  address,
  atLeastZero,
  cachePlace,
  count,
  countOr,
  field,
  flag,
  integer,
  json,
  key,
  limiterPlace,
  listOf,
  mapOf,
  money,
  positive,
  retries,
  secret,
  share,
  text,
  time,
  word
} from "./configFields.js"
import * as ConfigParameters from "./configParameters.js"
import * as ConfigStrategy from "./configStrategy.js"
import { failoverErrors } from "./failoverErrors.js"
import { type Name, names } from "./providerRegistry.js"

const provider = word(Object.fromEntries(names.map((name) => [name, name])) as Readonly<Record<Name, Name>>)

export const Limits = Schema.Struct({
  rps: field(positive, "Most requests a second."),
  rpm: field(positive, "Most requests a minute."),
  rpd: field(positive, "Most requests a day."),
  tpm: field(positive, "Most tokens a minute, input and output together."),
  itpm: field(positive, "Most input tokens a minute."),
  otpm: field(positive, "Most output tokens a minute."),
  concurrency: field(countOr("adaptive"), "Calls in flight at once; adaptive finds what the server bears."),
  burst: field(positive, "Requests that may start at once. Default 1 % of the limit."),
  token_burst: field(positive, "Tokens that may start at once. Default 1 % of the limit.")
})
export type Limits = typeof Limits.Type

const Price = Schema.Struct({
  input: atLeastZero.annotations({ description: "Of a million input tokens." }),
  output: atLeastZero.annotations({ description: "Of a million output tokens." })
})

const Endpoint = Schema.Struct({
  id: field(text, "Its name in strategies, tasks, answers and progress. Default: provider, host and model."),
  provider: provider.annotations({ description: "Whose wire protocol is spoken." }),
  model: field(
    text,
    "The model of requests that name none. gpt-4o-mini:1+gpt-4.1:2 stands for an endpoint for each, with these weights."
  ),
  family: field(text, "The model by its maker's name, where the name it is asked by does not tell."),
  base_url: field(address, "Address of the API. Default: the provider's variable, or its own."),
  api_key: field(key, `The key, as \${NAME} or { env: NAME }. Default: the provider's variable.`),
  key_header: field(
    word({ authorization: "authorization" as const }),
    "Sends the key as Authorization: Bearer to a provider with a header of its own."
  ),
  headers: field(mapOf(secret), "Further headers of every call."),
  limits: field(Limits, "Limits of its limit domain; they go before those by pattern."),
  weight: field(positive, "Its share of the work against the others. Default 1."),
  tasks: field(listOf(text), "The tasks it serves; it is then asked for no other. Default: all."),
  domain: field(
    text,
    "What shares a quota: endpoints of one account and model name the same. Default: the id."
  ),
  source: field(text, "Whose answers these are, to the cache. Default: the host."),
  context_window: field(count, "Tokens that prompt and answer may have together."),
  parameters: field(
    ConfigParameters.OfEndpoint,
    "Fields for requests that neither have them nor are given them by their task."
  ),
  price: field(Price, "What a million tokens cost."),
  enabled: field(flag, "false leaves it out; its variables need not be set. Default true.")
})
export type Endpoint = typeof Endpoint.Type

const failures = [
  ...failoverErrors,
  "ContentFilterError",
  "InvalidRequestError",
  "InvalidOutputError"
] as const
const failure = word(
  Object.fromEntries(failures.map((tag) => [tag, tag])) as Readonly<
    Record<(typeof failures)[number], (typeof failures)[number]>
  >
)

const Health = Schema.Struct({
  failures: field(count, "Failures in a row that open an endpoint's circuit. Default 5."),
  failure_share: field(positive, "The share of failures that opens it, 0 to 1. Default 0.5."),
  window: field(time, "The time over which the share is taken. Default 30s."),
  minimum_calls: field(count, "The share says nothing of fewer calls. Default 20."),
  cooldown: field(time, "The first cooldown; doubled each time the probe fails. Default 1s."),
  longest_cooldown: field(time, "The longest cooldown of our own making. Default 60s.")
})

const Hedge = Schema.Struct({
  quantile: field(share, "An attempt is late that takes longer than this share of answers. Default 0.95."),
  budget: field(share, "The most second attempts for each request, as a share. Default 0.05."),
  after: field(time, "No attempt is late before this time. Default: none.")
})

const Router = Schema.Struct({
  strategy: field(ConfigStrategy.schema, "The order in which endpoints are asked. Default round_robin."),
  seed: field(integer, "Makes strategies that use chance repeatable."),
  failover: field(Schema.Array(failure), "The errors after which another endpoint is asked."),
  health: field(Health, "When an endpoint is left alone, and for how long."),
  hedge: field(
    Hedge,
    "Give late attempts a second one at another endpoint; {} is all defaults. Default: none."
  )
})

const Task = Schema.Struct({
  system: field(text, "The system prompt of chats that have none."),
  parameters: field(ConfigParameters.OfTask, "Fields for requests that leave them out."),
  schema: field(json, "JSON Schema that answers are to have."),
  endpoints: field(listOf(text), "The endpoints that may be asked, by id or model."),
  strategy: field(ConfigStrategy.schema, "Default: that of the router.")
})
export type Task = typeof Task.Type

const Cache = Schema.Struct({
  store: field(cachePlace, "A SQLite file, redis://…, memory or off. Default memory."),
  ttl: field(time, "How long a stored answer may be used. Default: for ever."),
  namespace: field(text, "Part of the cache to use; others know nothing of its answers."),
  mode: field(
    word({
      read_write: "readWrite",
      bypass: "bypass",
      refresh: "refresh",
      read_only: "readOnly",
      replay: "replay"
    } satisfies Readonly<Record<string, NonNullable<CacheControl["mode"]>>>),
    "What is done with stored answers. Default read_write."
  ),
  capacity: field(count, "Of memory: the most answers kept. Default 30000."),
  max_entries: field(count, "Of a file: the most answers it holds."),
  max_bytes: field(count, "Of a file: the most bytes of answers it holds."),
  store_incomplete: field(flag, "Store answers that were cut short, filtered or refused too. Default false."),
  store_requests: field(flag, "Keep the request beside its answer. Default false.")
})

const Limiter = Schema.Struct({
  store: field(limiterPlace, "redis://… shares limits with all processes that use it. Default memory."),
  processes: field(
    count,
    "How many processes share the limits: each goes on with its part while Redis is away. Default: requests fail then."
  )
})

const Tariff = Schema.Struct({
  input: atLeastZero.annotations({ description: "US dollars for a million input tokens." }),
  output: atLeastZero.annotations({ description: "US dollars for a million output tokens." }),
  cache_read: field(atLeastZero, "For input read from the provider's cache. Default: as other input."),
  cache_write: field(atLeastZero, "For input written to it. Default: as other input.")
})
export type Tariff = typeof Tariff.Type

const Prices = Schema.Struct({
  override: field(mapOf(Tariff), "Other prices for models that floodgate knows, by provider/model."),
  add: field(mapOf(Tariff), "Prices of models it does not know, by provider/model or a pattern with *."),
  file: field(text, "A JSON file with override and add, as Prices.Options of the library has it.")
})

const Retry = Schema.Struct({
  max_retries: field(retries, "Attempts after the first. Default 8."),
  base: field(time, "The wait before the first retry; doubled for each further one. Default 500ms."),
  cap: field(time, "The longest wait of our own making. Default 60s."),
  patience: field(time, "The longest hint of a server that is waited for. Default 10m."),
  timeout: field(time, "Longest one attempt may take. Default 10m."),
  deadline: field(time, "Longest one request may take, retries included. Default: none.")
})

const levels: Readonly<Record<string, LogLevel.Literal>> = {
  all: "All",
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warning: "Warning",
  error: "Error",
  fatal: "Fatal",
  none: "None"
}

const Log = Schema.Struct({
  level: field(word(levels), "What is told. Default info."),
  file: field(text, "File for the log of the command line. Default: standard error."),
  calls: field(flag, "Log each call. Default false.")
})

const Batch = Schema.Struct({
  concurrency: field(countOr("adaptive"), "Requests under way at once. Default 64."),
  task: field(text, "The task that requests are asked under."),
  streaming: field(flag, "Have answers come bit by bit on the wire. Default false.")
})

const Http = Schema.Struct({
  connections: field(count, "Most connections to one origin. Default: no bound."),
  keep_alive: field(time, "How long an idle connection is kept. Default 30s."),
  connect_timeout: field(time, "How long connecting may take. Default 10s.")
})

/** A config file. */
export const File = Schema.Struct({
  endpoints: field(listOf(Endpoint), "Where requests go. Default: what the environment describes."),
  limits: field(
    mapOf(Limits),
    "Limits of domains by the domain's name, its model or provider/model, or by a pattern of one with *. What a pattern leaves open is as * has it."
  ),
  limiter: field(Limiter, "Where limits are counted."),
  router: field(Router, "Which endpoint is asked."),
  tasks: field(mapOf(Task), "Named defaults."),
  cache: field(Cache, "Where answers are kept, to be had again for nothing."),
  retry: field(Retry, "When a failed attempt is made again."),
  budget: field(
    money,
    'The most that a run of batch or embed may cost, such as "25 USD". ask and chat are not counted.'
  ),
  prices: field(Prices, "What models cost, where it is not what they are listed at."),
  batch: field(Batch, "How batches are run."),
  http: field(Http, "The connection pool."),
  log: field(Log, "What the command line logs.")
}).annotations({
  identifier: "FloodgateConfig",
  title: "floodgate.yaml",
  description: `Settings of floodgate. \${NAME} in a text is the variable NAME, \${NAME:-x} has a default, $\${ is \${.`
})
export type File = typeof File.Type

/** What editors read: the JSON Schema of a config file. */
export const jsonSchema = (): object => JSONSchema.make(File)
