/**
 * Mistral's files and batch jobs. The model stands at the job, and not in its lines.
 *
 * Source: Mistral's API description.
 */
import * as BatchJobs from "./BatchJobs.js"
import { gatewayError } from "./MistralError.js"
import { content, isGood, upload } from "./OpenAiBatch.js"
import type { Reply, Route, Wire } from "./Wire.js"

const words: Readonly<Record<BatchJobs.JobState, string>> = {
  queued: "QUEUED",
  running: "RUNNING",
  cancelling: "CANCELLATION_REQUESTED",
  completed: "SUCCESS",
  failed: "FAILED",
  expired: "TIMEOUT_EXCEEDED",
  cancelled: "CANCELLED"
}

/** The routes beside the ordinary ones. */
export const route = (
  jobs: BatchJobs.BatchJobs,
  lineRoute: (path: string) => Route | undefined
): Wire["route"] => {
  const told = (job: BatchJobs.BatchJob, { now, run }: BatchJobs.RawRequest) => {
    const { ended, state } = job.at(now, run)
    const succeeded = ended.filter(([, each]) => isGood(each)).length
    const hasFiles = state === "completed" || state === "expired" || state === "cancelled"
    const { failsWith, runningState } = jobs.options
    return {
      id: job.id,
      object: "batch",
      input_files: job.given["input_files"],
      endpoint: job.given["endpoint"],
      model: job.given["model"],
      metadata: job.given["metadata"] ?? null,
      status: state === "running" ? (runningState ?? words.running) : words[state],
      created_at: Math.floor(job.createdAt / 1000),
      output_file: hasFiles && succeeded > 0 ? `${job.id}-output` : null,
      error_file: hasFiles && succeeded < ended.length ? `${job.id}-error` : null,
      errors: failsWith === undefined ? [] : [{ message: `The batch failed: ${failsWith}.`, count: 1 }],
      total_requests: job.size,
      completed_requests: ended.length,
      succeeded_requests: succeeded,
      failed_requests: ended.length - succeeded
    }
  }

  const create = (request: BatchJobs.RawRequest): Reply => {
    const given = BatchJobs.parse(request.text)
    const { endpoint, input_files: files, model } = given
    const text = jobs.file(String(Array.isArray(files) ? files[0] : undefined))
    if (text === undefined || typeof model !== "string") {
      return gatewayError(400, "Input files or model are missing")
    }
    const entries = BatchJobs.parseLines(text)
    if (entries.some((entry) => BatchJobs.record(entry["body"])["model"] !== undefined)) {
      return gatewayError(422, "The model of a batch is that of its job")
    }
    const job = jobs.add(
      "job-",
      request.now,
      given,
      entries.map((entry) => ({
        id: String(entry["custom_id"]),
        run: (run) => {
          const path = String(endpoint)
          const found = lineRoute(path)
          const body = { ...BatchJobs.record(entry["body"]), model }
          return run(found?._tag === "Endpoint" ? found : undefined, path, body)
        }
      }))
    )
    return BatchJobs.json(told(job, request))
  }

  const answer = (path: string, request: BatchJobs.RawRequest): Reply => {
    const isPost = request.method === "POST"
    const [, , kind, ...rest] = path.split("/")
    if (kind === "files") {
      if (isPost) return upload(jobs, request)
      return content(jobs, rest[0] ?? "", request) ?? gatewayError(404, "File not found")
    }
    const [, id, action] = rest
    if (id === undefined) {
      if (isPost) return create(request)
      const data = jobs.list().map((job) => told(job, request))
      return BatchJobs.json({ object: "list", data, total: data.length })
    }
    const job = jobs.get(id)
    if (job === undefined) return gatewayError(404, "Batch job not found")
    if (action === "cancel") job.cancel(request.now)
    return BatchJobs.json(told(job, request))
  }

  return (_, path) =>
    /^\/v1\/(files(\/[^/]+\/content)?|batch\/jobs(\/[^/]+(\/cancel)?)?)$/.test(path)
      ? { _tag: "Raw", answer: (request) => answer(path, request) }
      : undefined
}
