/** The router and the limits that settings describe. */
import * as Either from "effect/Either"
import type * as RateLimiter from "../RateLimiter.js"
import * as Router from "../Router.js"
import type * as Task from "../Task.js"
import type { Described } from "./configEndpoints.js"
import type { Loaded } from "./configLoad.js"
import { fieldsOf } from "./configParameters.js"
import { type Problem, pathText } from "./configProblem.js"
import type { Limits, Task as WrittenTask } from "./configSchema.js"
import * as ConfigStrategy from "./configStrategy.js"
import { limitsFor } from "./limits.js"
import { drawable, faultOf } from "./modelDraw.js"
import { suggestion } from "./nearest.js"

type Path = ReadonlyArray<PropertyKey>

/** An endpoint of the router with what is said of it. */
interface Placed {
  readonly endpoint: Router.Service["endpoints"][number]
  readonly described: Described
}

// a short form of models is an endpoint for each
const place = (
  endpoints: Router.Service["endpoints"],
  described: ReadonlyArray<Described>
): ReadonlyArray<Placed> => {
  const owners = described.flatMap((one) =>
    Array.from({ length: Math.max(1, drawable(one.options.model).length) }, () => one)
  )
  return endpoints.flatMap((endpoint, index) => {
    const owner = owners[index]
    return owner === undefined ? [] : [{ endpoint, described: owner }]
  })
}

const parametersOf = (name: string, { parameters, schema }: WrittenTask): Task.Parameters => {
  const fields = fieldsOf(parameters ?? {})
  if (schema !== undefined) {
    fields.responseFormat = {
      type: "jsonSchema",
      name: name.replace(/[^\w-]/g, "_").slice(0, 64) || "answer",
      schema,
      strict: true,
      adapt: true
    }
  }
  // the fields of requests in the spelling of files
  return fields as Task.Parameters
}

const namesOf = (placed: ReadonlyArray<Placed>): ReadonlySet<string> =>
  new Set(placed.flatMap(({ endpoint: { id, model } }) => (model === undefined ? [id] : [id, model])))

/** The names that are right in the file, though a flag or a variable has chosen other endpoints. */
const leftOut = ({ chosen, settings }: Loaded): ReadonlyArray<string> =>
  chosen.provider === undefined && chosen.model === undefined
    ? []
    : (settings.endpoints ?? []).flatMap(({ enabled, id, model }) =>
        enabled === false ? [] : [id, model].filter((name) => name !== undefined)
      )

/** The strategy, unless it is about endpoints that are not chosen: there is less to choose from then. */
const fitting = (
  strategy: ConfigStrategy.Written | undefined,
  placed: ReadonlyArray<Placed>
): ConfigStrategy.Written | undefined =>
  strategy === undefined || ConfigStrategy.unknownMembers(strategy, namesOf(placed)).length > 0
    ? undefined
    : strategy

/** Whether a task names endpoints, and none of them is chosen. */
const isLeftOut = (name: string, { endpoints }: WrittenTask, placed: ReadonlyArray<Placed>): boolean => {
  const present = namesOf(placed)
  return (
    endpoints !== undefined &&
    !endpoints.some((member) => present.has(member)) &&
    !placed.some(({ described }) => described.tasks.includes(name))
  )
}

/** The tasks, with the endpoints that say that they serve them. */
const tasksOf = (
  { settings }: Loaded,
  placed: ReadonlyArray<Placed>
): Readonly<Record<string, Task.Task>> => {
  const present = namesOf(placed)
  const tasks = Object.entries(settings.tasks ?? {}).filter(([name, task]) => !isLeftOut(name, task, placed))
  return Object.fromEntries(
    tasks.map(([name, task]) => {
      const serving = placed.filter(({ described }) => described.tasks.includes(name))
      const named = [
        ...(task.endpoints ?? []).filter((member) => present.has(member)),
        ...serving.map(({ endpoint }) => endpoint.id)
      ]
      const strategy = fitting(task.strategy, placed)
      return [
        name,
        {
          system: task.system,
          parameters: parametersOf(name, task),
          endpoints: named.length === 0 ? undefined : [...new Set(named)],
          strategy:
            strategy === undefined
              ? undefined
              : ConfigStrategy.make(strategy, named.length === 0 ? undefined : named)
        }
      ]
    })
  )
}

const healthOf = (health: NonNullable<NonNullable<Loaded["settings"]["router"]>["health"]>) => ({
  failures: health.failures,
  failureShare: health.failure_share,
  window: health.window,
  minimumCalls: health.minimum_calls,
  cooldown: health.cooldown,
  longestCooldown: health.longest_cooldown
})

/** The names in the settings that nothing has. */
const unknownNames = (loaded: Loaded, placed: ReadonlyArray<Placed>): ReadonlyArray<Problem> => {
  const { origin, settings } = loaded
  const { router, tasks = {} } = settings
  const known = new Set([...namesOf(placed), ...leftOut(loaded)])
  const problem = (path: Path, message: string): Problem => ({
    origin: origin(path),
    path: pathText(path),
    message
  })
  const inStrategy = (path: Path, strategy: ConfigStrategy.Written | undefined) =>
    strategy === undefined
      ? []
      : ConfigStrategy.unknownMembers(strategy, known).map(({ message, path: below }) =>
          problem([...path, ...below], message)
        )
  const taskNames = Object.keys(tasks)
  const ofTask = (path: Path, name: string) => {
    const task = tasks[name]
    if (taskNames.includes(name) && task !== undefined) {
      return path[0] === "batch" && isLeftOut(name, task, placed)
        ? [problem(path, `the task "${name}" is for other endpoints: ${task.endpoints?.join(", ")}`)]
        : []
    }
    return [
      problem(
        path,
        `no task "${name}"${suggestion(name, taskNames) || `; the tasks are ${taskNames.join(", ") || "none"}`}`
      )
    ]
  }
  return [
    ...inStrategy(["router", "strategy"], router?.strategy),
    ...Object.entries(tasks).flatMap(([name, { endpoints = [], strategy }]) => [
      ...endpoints.flatMap((member, index) =>
        known.has(member)
          ? []
          : [problem(["tasks", name, "endpoints", index], ConfigStrategy.unknownEndpoint(member, known))]
      ),
      ...inStrategy(["tasks", name, "strategy"], strategy)
    ]),
    ...placed.flatMap(({ described: { path, tasks } }) =>
      path === undefined ? [] : tasks.flatMap((name, index) => ofTask([...path, "tasks", index], name))
    ),
    ...(settings.batch?.task === undefined ? [] : ofTask(["batch", "task"], settings.batch.task))
  ]
}

const limitNames = {
  rps: "requestsPerSecond",
  rpm: "requestsPerMinute",
  rpd: "requestsPerDay",
  tpm: "tokensPerMinute",
  itpm: "inputTokensPerMinute",
  otpm: "outputTokensPerMinute",
  concurrency: "concurrency",
  burst: "burst",
  token_burst: "tokenBurst"
} as const satisfies Readonly<Record<keyof Limits, keyof RateLimiter.Limits>>

const limitsOf = (limits: Limits): RateLimiter.Limits =>
  Object.fromEntries(
    Object.entries(limitNames).flatMap(([name, full]) => {
      const value = limits[name as keyof Limits]
      return value === undefined ? [] : [[full, value]]
    })
  )

/** The limits of each domain: an endpoint's own, over those of the pattern that fits it best, over those of `*`. */
const domainsOf = (
  { origin, settings }: Loaded,
  placed: ReadonlyArray<Placed>
): {
  readonly domains: Readonly<Record<string, RateLimiter.Limits>>
  readonly problems: ReadonlyArray<Problem>
} => {
  const { "*": rest, ...patterns } = settings.limits ?? {}
  const everyone: Limits = {
    ...(settings.batch?.concurrency === "adaptive" ? { concurrency: "adaptive" } : undefined),
    ...rest
  }
  const domains = new Map<
    string,
    { readonly limits: Limits; readonly own: Limits | undefined; readonly id: string }
  >()
  const problems: Array<Problem> = []
  for (const { described, endpoint } of placed) {
    const { domain, id, model, provider } = endpoint
    const names = [domain, id, ...(model === undefined ? [] : [`${provider}/${model}`, model])]
    const pattern = names.map((name) => limitsFor(patterns, name)).find((limits) => limits !== undefined)
    const before = domains.get(domain)
    const own = described.limits
    if (
      before?.own !== undefined &&
      own !== undefined &&
      JSON.stringify(before.own) !== JSON.stringify(own)
    ) {
      const path = [...(described.path ?? []), "limits"]
      problems.push({
        origin: origin(path),
        path: pathText(path),
        message: `the domain "${domain}" has other limits at the endpoint ${before.id}; one place is enough`
      })
    }
    domains.set(domain, {
      limits: { ...everyone, ...pattern, ...before?.own, ...own },
      own: own ?? before?.own,
      id: before?.id ?? id
    })
  }
  return {
    domains: {
      "*": limitsOf(everyone),
      ...Object.fromEntries([...domains].map(([domain, { limits }]) => [domain, limitsOf(limits)]))
    },
    problems
  }
}

/** The patterns of limits that fit no endpoint. */
export const idlePatterns = (
  { origin, settings }: Loaded,
  { endpoints }: Router.Service
): ReadonlyArray<Problem> =>
  Object.keys(settings.limits ?? {}).flatMap((pattern) => {
    const fits = endpoints.some(({ domain, id, model, provider }) =>
      [domain, id, model ?? "", `${provider}/${model}`].some(
        (name) => limitsFor({ [pattern]: true }, name) !== undefined
      )
    )
    const path = ["limits", pattern]
    return fits || pattern === "*"
      ? []
      : [{ origin: origin(path, "key"), path: pathText(path), message: "fits no endpoint" }]
  })

/** Models by weight whose weights are all 0. */
const undrawable = ({ origin }: Loaded, described: ReadonlyArray<Described>): ReadonlyArray<Problem> =>
  described.flatMap(({ options }) => {
    const message = faultOf(options.model)
    return message === undefined ? [] : [{ origin: origin(["endpoints"]), path: "endpoints", message }]
  })

export interface Routed {
  readonly router: Router.Service
  readonly domains: Readonly<Record<string, RateLimiter.Limits>>
}

/** The router over these endpoints, and the limits of their domains. */
export const make = (
  loaded: Loaded,
  described: readonly [Described, ...ReadonlyArray<Described>]
): Either.Either<Routed, ReadonlyArray<Problem>> => {
  const [first, ...rest] = described
  const endpoints = [first.options, ...rest.map(({ options }) => options)] as const
  // ids and domains are the router's to give
  const placed = place(Router.make({ endpoints }).endpoints, described)
  const { domains, problems } = domainsOf(loaded, placed)
  const wrong = [...unknownNames(loaded, placed), ...undrawable(loaded, described), ...problems]
  if (wrong.length > 0) return Either.left(wrong)

  const { failover, health, hedge, seed, strategy: written } = loaded.settings.router ?? {}
  const strategy = fitting(written, placed)
  const free = placed.filter(({ described: { tasks } }) => tasks.length === 0)
  // endpoints that serve tasks are asked for these alone
  const everyone =
    free.length === 0 || free.length === placed.length ? undefined : free.map(({ endpoint }) => endpoint.id)
  const router = Router.make({
    endpoints,
    strategy:
      strategy === undefined && everyone === undefined
        ? undefined
        : ConfigStrategy.make(strategy ?? "round_robin", everyone),
    seed,
    failover,
    health: health === undefined ? undefined : healthOf(health),
    hedge,
    tasks: tasksOf(loaded, placed)
  })
  return router.pool?.fault === undefined
    ? Either.right({ router, domains })
    : Either.left([{ origin: loaded.origin(["router"]), path: "router", message: router.pool.fault }])
}
