/**
 * The Gemini API's batches: requests in the call or in a file that was uploaded before; a job is a long-running
 * operation.
 *
 * Source: Google's guide to the Gemini Batch API.
 */
import * as BatchJobs from "./BatchJobs.js"
import { error } from "./GeminiError.js"
import type { Reply, Route, Wire } from "./Wire.js"

const words: Readonly<Record<BatchJobs.JobState, string>> = {
  queued: "PENDING",
  running: "RUNNING",
  cancelling: "RUNNING",
  completed: "SUCCEEDED",
  failed: "FAILED",
  expired: "EXPIRED",
  cancelled: "CANCELLED"
}

/** Codes of `google.rpc.Code` by HTTP status. */
const codes: Readonly<Record<number, number>> = { 400: 3, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14, 504: 4 }

const resultOf = (ended: BatchJobs.Ended): Readonly<Record<string, unknown>> => {
  if (ended === "cancelled") return { error: { code: 1, message: "The operation was cancelled." } }
  if (ended === "expired") return { error: { code: 4, message: "The operation expired." } }
  if (ended.status === 200) return { response: ended.body }
  const inner = BatchJobs.record(BatchJobs.record(ended.body)["error"])
  return { error: { ...inner, code: codes[ended.status] ?? 2 } }
}

const isGood = (ended: BatchJobs.Ended): boolean => typeof ended !== "string" && ended.status === 200

/** The routes beside the ordinary ones. */
export const route = (
  jobs: BatchJobs.BatchJobs,
  lineRoute: (path: string) => Route | undefined
): Wire["route"] => {
  const sizes = new Map<string, string>()

  const told = (job: BatchJobs.BatchJob, { now, run }: BatchJobs.RawRequest) => {
    const { ended, state } = job.at(now, run)
    const good = ended.filter(([, each]) => isGood(each)).length
    const hasOutput = state === "completed" || state === "expired" || state === "cancelled"
    const isFile = job.given["fileName"] !== undefined
    const output = isFile
      ? { responsesFile: `files/${job.id.split("/")[1]}-responses` }
      : {
          inlinedResponses: {
            inlinedResponses: ended.map(([key, each]) => ({ ...resultOf(each), metadata: { key } }))
          }
        }
    const word = state === "running" ? (jobs.options.runningState ?? words.running) : words[state]
    return {
      name: job.id,
      metadata: {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        name: job.id,
        displayName: job.given["displayName"],
        state: `BATCH_STATE_${word}`,
        createTime: new Date(job.createdAt).toISOString(),
        batchStats: {
          requestCount: String(job.size),
          successfulRequestCount: String(good),
          failedRequestCount: String(ended.length - good),
          pendingRequestCount: String(job.size - ended.length)
        }
      },
      ...(hasOutput || state === "failed" ? { done: true } : undefined),
      ...(hasOutput ? { response: output } : undefined),
      ...(state === "failed"
        ? { error: { code: 3, message: `The batch failed: ${jobs.options.failsWith}.` } }
        : undefined)
    }
  }

  const create = (request: BatchJobs.RawRequest, model: string): Reply => {
    const batch = BatchJobs.record(BatchJobs.parse(request.text)["batch"])
    const input = BatchJobs.record(batch["inputConfig"])
    const { fileName } = input
    const file = typeof fileName === "string" ? jobs.file(fileName) : undefined
    if (fileName !== undefined && file === undefined) return error(404, `File ${String(fileName)} not found.`)
    const entries =
      file === undefined
        ? BatchJobs.records(BatchJobs.record(input["requests"])["requests"]).map((each) => ({
            key: BatchJobs.record(each["metadata"])["key"],
            request: each["request"]
          }))
        : BatchJobs.parseLines(file)
    if (entries.length === 0) return error(400, "A batch has at least one request.")
    const path = `/v1beta/models/${model}:generateContent`
    const found = lineRoute(path)
    const job = jobs.add(
      "batches/",
      request.now,
      { displayName: batch["displayName"], fileName },
      entries.map((each) => ({
        id: String(each["key"]),
        run: (run) =>
          run(found?._tag === "Endpoint" ? found : undefined, path, BatchJobs.record(each["request"]))
      }))
    )
    return BatchJobs.json(told(job, request))
  }

  const answer = (request: BatchJobs.RawRequest): Reply => {
    const { headers, method, now, path, run, text } = request
    const model = /^\/v1beta\/models\/([^/:]+):batchGenerateContent$/.exec(path)?.[1]
    if (model !== undefined) return create(request, model)
    if (path === "/upload/v1beta/files") {
      const id = `upload-${sizes.size + 1}`
      sizes.set(id, String(headers["x-goog-upload-header-content-length"]))
      return BatchJobs.json({}, 200, {
        "x-goog-upload-url": `http://${String(headers["host"])}/upload/v1beta/files/${id}`
      })
    }
    const upload = /^\/upload\/v1beta\/files\/([^/]+)$/.exec(path)?.[1]
    if (upload !== undefined) {
      if (sizes.get(upload) !== String(Buffer.byteLength(text))) return error(400, "The upload is not whole.")
      return BatchJobs.json({ file: { name: jobs.addFile("files/", text), state: "ACTIVE" } })
    }
    const download = /^\/download\/v1beta\/files\/([^/]+)-responses:download$/.exec(path)?.[1]
    if (download !== undefined) {
      const ended = jobs.get(`batches/${download}`)?.at(now, run).ended
      return ended === undefined
        ? error(404, "Requested entity was not found.")
        : BatchJobs.lines(ended.map(([key, each]) => ({ key, ...resultOf(each) })))
    }
    if (path === "/v1beta/batches") {
      return BatchJobs.json({ operations: jobs.list().map((job) => told(job, request)) })
    }
    const [, id = "", action] = /^\/v1beta\/(batches\/[^/:]+)(?::(cancel))?$/.exec(path) ?? []
    const job = jobs.get(id)
    if (job === undefined) return error(404, "Requested entity was not found.")
    if (action === undefined || method !== "POST") return BatchJobs.json(told(job, request))
    job.cancel(now)
    return BatchJobs.json({})
  }

  return (_, path) =>
    /^\/v1beta\/(models\/[^/:]+:batchGenerateContent|batches(\/[^/]+)?)$|^\/(upload|download)\/v1beta\/files/.test(
      path
    )
      ? { _tag: "Raw", answer }
      : undefined
}
