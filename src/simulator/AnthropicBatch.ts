/**
 * Anthropic's message batches. Parameters are looked at only when a request is run; counts stay at `processing` until
 * the whole batch has ended.
 *
 * Source: Anthropic's API reference of message batches.
 */
import { error } from "./AnthropicError.js"
import * as BatchJobs from "./BatchJobs.js"
import type { Reply, Route, Wire } from "./Wire.js"

const limit = 100_000

const kindOf = (ended: BatchJobs.Ended): "succeeded" | "errored" | "expired" | "canceled" => {
  if (ended === "expired") return "expired"
  if (ended === "cancelled") return "canceled"
  return ended.status === 200 ? "succeeded" : "errored"
}

const resultOf = (ended: BatchJobs.Ended): Readonly<Record<string, unknown>> => {
  const type = kindOf(ended)
  if (typeof ended === "string") return { type }
  return type === "succeeded"
    ? { type, message: ended.body }
    : { type, error: { ...BatchJobs.record(ended.body), request_id: ended.requestId } }
}

/** The routes beside the ordinary ones. */
export const route = (
  jobs: BatchJobs.BatchJobs,
  lineRoute: (path: string) => Route | undefined
): Wire["route"] => {
  const told = (job: BatchJobs.BatchJob, { headers, now, run }: BatchJobs.RawRequest) => {
    const { ended, state } = job.at(now, run)
    const hasEnded = state !== "queued" && state !== "running" && state !== "cancelling"
    const counts = { processing: hasEnded ? 0 : job.size, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
    if (hasEnded) for (const [, each] of ended) counts[kindOf(each)]++
    return {
      id: job.id,
      type: "message_batch",
      processing_status: hasEnded
        ? "ended"
        : state === "cancelling"
          ? "canceling"
          : (jobs.options.runningState ?? "in_progress"),
      request_counts: counts,
      created_at: new Date(job.createdAt).toISOString(),
      expires_at: new Date(job.createdAt + 86_400_000).toISOString(),
      ended_at: hasEnded ? new Date(now).toISOString() : null,
      results_url: hasEnded ? `http://${String(headers["host"])}/v1/messages/batches/${job.id}/results` : null
    }
  }

  const create = (request: BatchJobs.RawRequest): Reply => {
    const requests = BatchJobs.records(BatchJobs.parse(request.text)["requests"])
    const ids = requests.map((each) => String(each["custom_id"]))
    if (requests.length === 0) return error(400, "requests: List should have at least 1 item")
    if (requests.length > limit) return error(400, `requests: List should have at most ${limit} items`)
    if (ids.some((id) => !/^[A-Za-z0-9_-]{1,64}$/.test(id))) {
      return error(400, "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
    }
    if (new Set(ids).size < ids.length) return error(400, "requests: custom_id must be unique")
    const path = "/v1/messages"
    const found = lineRoute(path)
    const job = jobs.add(
      "msgbatch_",
      request.now,
      {},
      requests.map((each) => ({
        id: String(each["custom_id"]),
        run: (run) =>
          run(found?._tag === "Endpoint" ? found : undefined, path, BatchJobs.record(each["params"]))
      }))
    )
    return BatchJobs.json(told(job, request))
  }

  const answer = (request: BatchJobs.RawRequest): Reply => {
    const [id, action] = request.path.split("/").slice(4)
    if (id === undefined) {
      return request.method === "POST"
        ? create(request)
        : BatchJobs.json({ data: jobs.list().map((job) => told(job, request)), has_more: false })
    }
    const job = jobs.get(id)
    if (job === undefined) return error(404, "Not found")
    if (action === "results") {
      return BatchJobs.lines(
        job
          .at(request.now, request.run)
          .ended.map(([custom_id, ended]) => ({ custom_id, result: resultOf(ended) }))
      )
    }
    if (action === "cancel") job.cancel(request.now)
    return BatchJobs.json(told(job, request))
  }

  return (_, path) =>
    /^\/v1\/messages\/batches(\/[^/]+(\/(results|cancel))?)?$/.test(path)
      ? { _tag: "Raw", answer }
      : undefined
}
