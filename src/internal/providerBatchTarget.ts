/** Which endpoint a batch goes to, and which one a job is at. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Budget } from "../Budget.js"
import { type LlmError, UnsupportedError } from "../LlmError.js"
import { Providers } from "../Providers.js"
import type { Request, RequestInput } from "../Request.js"
import { type Policy, RetryPolicy } from "../Retry.js"
import { Router } from "../Router.js"
import { type Job, ProviderBatchError } from "./providerBatchJob.js"
import * as Plan from "./providerBatchPlan.js"

/** See `ProviderBatch.Options`. */
export interface Options {
  readonly endpoint?: string | undefined
  readonly task?: string | undefined
  readonly completionWindow?: Duration.DurationInput | undefined
  readonly maxRequestsPerJob?: number | undefined
  readonly retry?: Policy | undefined
}

export type Services = Providers | Router

export const policyOf = ({ retry }: { readonly retry?: Policy | undefined }): Effect.Effect<Policy> =>
  retry === undefined ? RetryPolicy : Effect.succeed(retry)

/** Where jobs go: the endpoint that is named, or the first that has a batch API and the request's model. */
const targets = ({ endpoint: named }: Options) =>
  Effect.gen(function* () {
    const { endpoints, pool } = yield* Router
    const providers = yield* Providers
    const able = endpoints.flatMap((endpoint): ReadonlyArray<Plan.Target> => {
      const batches = providers.get(endpoint.provider)?.batch
      return batches === undefined || (named !== undefined && endpoint.id !== named)
        ? []
        : [{ endpoint, batches }]
    })
    const [first] = able
    if (first === undefined) {
      const isThere = endpoints.some(({ id }) => id === named)
      return yield* named === undefined || isThere
        ? new ProviderBatchError({
            reason: "NoBatchApi",
            message: `${named ?? "No endpoint of the router"} has ${named === undefined ? "a" : "no"} batch API here: use \`batch\``,
            jobs: []
          })
        : new ProviderBatchError({
            reason: "UnknownEndpoint",
            message: `The router has no endpoint "${named}"; it has ${endpoints.map(({ id }) => id).join(", ")}`,
            jobs: []
          })
    }
    return (request: Request, task: string | undefined): Either.Either<Plan.Target, LlmError> => {
      // an endpoint that is named for requests without a task is the caller's choice
      const free = pool === undefined || (named !== undefined && task === undefined)
      const allowed = free ? undefined : new Set(pool.allowed(request, task))
      const open = allowed === undefined ? able : able.filter(({ endpoint }) => allowed.has(endpoint))
      const { model } = request
      const target = open.find(({ endpoint }) => model !== undefined && endpoint.model === model) ?? open[0]
      return target === undefined
        ? Either.left(notAllowed(first.endpoint.provider, task, named))
        : Either.right(target)
    }
  })

const notAllowed = (provider: string, task: string | undefined, named: string | undefined) =>
  new UnsupportedError({
    provider,
    feature: "batch",
    message:
      named === undefined
        ? `No endpoint that ${task === undefined ? "the router's strategy" : `the task "${task}"`} asks has a batch API; nothing was sent`
        : `The task "${task}" is not asked at "${named}"; nothing was sent`
  })

/** Where a job is. */
export const targetOf = (job: Job): Effect.Effect<Plan.Target, ProviderBatchError, Services> =>
  Effect.gen(function* () {
    const { endpoints } = yield* Router
    const providers = yield* Providers
    const endpoint = endpoints.find(({ id }) => id === job.endpoint)
    const batches = endpoint === undefined ? undefined : providers.get(endpoint.provider)?.batch
    if (endpoint === undefined || batches === undefined) {
      return yield* new ProviderBatchError({
        reason: "UnknownEndpoint",
        message: `The job ${job.id} is at the endpoint "${job.endpoint}", which the router does not have: run with the endpoint that submitted it`,
        jobs: [job]
      })
    }
    return { endpoint, batches }
  })

/** Before anything is submitted: a job costs what it costs, and a budget at hand would not hold. */
export const refuseBudget: Effect.Effect<void, ProviderBatchError> = Effect.flatMap(
  Effect.serviceOption(Budget),
  (budget) =>
    budget._tag === "None"
      ? Effect.void
      : new ProviderBatchError({
          reason: "Budgeted",
          message:
            "A budget cannot hold for jobs of a provider's batch API, which are submitted whole: ask without Budget.layer, and see with estimate what they may cost",
          jobs: []
        })
)

export const plan = (inputs: Iterable<RequestInput>, options: Options, mode: Plan.Options["mode"]) =>
  Effect.flatMap(targets(options), (targetOf) =>
    Effect.flatMap(Router, (router) => Plan.make(inputs, { router, targetOf, task: options.task, mode }))
  )
