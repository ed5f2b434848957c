/** `--provider-batch`: a run through the provider's own batch API, whose output is that of any run. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Stream from "effect/Stream"
import type { Cache } from "../Cache.js"
import type { Checkpoint } from "../Checkpoint.js"
import type { CheckpointError } from "../internal/checkpointError.js"
import type { Configured } from "../internal/configServices.js"
import { count } from "../internal/countText.js"
import * as Observe from "../internal/observe.js"
import * as OutcomeLine from "../internal/outcomeLine.js"
import * as ProviderBatchRun from "../internal/providerBatchRun.js"
import { Ledger } from "../Ledger.js"
import type { Settled } from "../Outcome.js"
import type { ProviderBatchError, Status } from "../ProviderBatch.js"
import type { Providers } from "../Providers.js"
import type { Request } from "../Request.js"
import type { Router } from "../Router.js"
import type { AskedRows } from "./askedRows.js"
import type { RunFlags } from "./batchCommand.js"
import { CliError } from "./CliError.js"
import { wrong } from "./flags.js"

/** What single calls have and jobs have not. */
const moot = [
  ["concurrency", "concurrency"],
  ["rps", "rps"],
  ["rpm", "rpm"],
  ["rpd", "rpd"],
  ["tpm", "tpm"],
  ["itpm", "itpm"],
  ["otpm", "otpm"],
  ["burst", "burst"],
  ["redis", "redis"],
  ["timeout", "timeout"]
] as const satisfies ReadonlyArray<readonly [flag: string, name: keyof RunFlags]>

/** Whether the other flags and settings can be meant together with this one. */
export const check = (flags: RunFlags, { loaded }: Configured): Effect.Effect<void, CliError> => {
  const [pointless] = moot.filter(([, name]) => flags[name] !== undefined)
  if (pointless !== undefined) {
    return wrong(
      `--${pointless[0]} is about single calls, and --provider-batch makes none: leave one of them out`
    )
  }
  return loaded.settings.budget === undefined && flags.budgetTokens === undefined
    ? Effect.void
    : wrong(
        "A budget cannot hold with --provider-batch, which submits all requests at once: leave one of them out. floodgate estimate --provider-batch tells what they may cost"
      )
}

/** How a job stands, for people. */
const told = ({ failed, job, rawState, succeeded }: Status): string =>
  [
    `Job ${job.id} at ${job.provider}: ${rawState}`,
    `${count(succeeded)} of ${count(job.ids.length)} answered`,
    ...(failed === 0 ? [] : [`${count(failed)} failed`])
  ].join(", ")

export interface Options extends Omit<ProviderBatchRun.RunOptions, "onStatus" | "jobFile"> {
  readonly asked: AskedRows
  readonly checkpoint: Context.Tag.Service<Checkpoint>
  readonly jobFile: string
  readonly encoding: OutcomeLine.Encoding
  readonly say: (text: string) => Effect.Effect<void>
  /** Is given every outcome once it is durable. */
  readonly onSettled: (settled: Settled<Request>) => void
}

const messageOf = (error: ProviderBatchError | CheckpointError | CliError): string =>
  error._tag === "ProviderBatchError" && error.reason === "NoBatchApi"
    ? "None of the endpoints has a batch API that is known here: leave out --provider-batch"
    : error.message

/** Submits what is asked, waits, and writes the outcomes into the checkpoint; interrupted, it leaves the jobs running. */
export const answer = (
  options: Options
): Effect.Effect<
  void,
  CliError | CheckpointError,
  Providers | Router | Cache | Ledger | FileSystem.FileSystem
> =>
  Effect.gen(function* () {
    const { asked, checkpoint, encoding, onSettled, say } = options
    const requests = Chunk.toReadonlyArray(yield* Stream.runCollect(asked.requests))
    const indexes: Array<number> = []
    for (let index = 0; indexes.length < requests.length; index++) {
      if (!asked.isLeftOut(index)) indexes.push(index)
    }
    let jobs = 0
    const known = new Set<string>()
    // nothing is begun before: whether a request was sent is what the file of jobs knows
    const finish = (settled: Settled<Request>) => {
      const index = indexes[settled.index] ?? settled.index
      const key = settled.meta.key ?? `unreadable-${index}`
      const row = { ...settled, index, meta: { ...settled.meta, key } }
      return Effect.map(checkpoint.finish(key, index, OutcomeLine.encode(row, encoding)), () =>
        onSettled(row)
      )
    }
    const onStatus = (status: Status) => {
      known.add(status.job.id)
      jobs = known.size
      return say(told(status))
    }
    const account = yield* (yield* Ledger).follow(checkpoint)
    yield* ProviderBatchRun.each(requests, { ...options, onStatus }, finish).pipe(
      Effect.locallyWith(Observe.observers, HashSet.add(account)),
      Effect.mapError((error) => new CliError({ message: messageOf(error), cause: error })),
      Effect.onInterrupt(() =>
        jobs === 0
          ? Effect.void
          : say(
              `${count(jobs)} ${jobs === 1 ? "job goes" : "jobs go"} on at the provider. The same command waits for ${jobs === 1 ? "it" : "them"} again; nothing is sent twice`
            )
      )
    )
    yield* checkpoint.seal(asked.reached())
    // all that it knew is in the output now
    yield* Effect.ignore((yield* FileSystem.FileSystem).remove(options.jobFile))
  })
