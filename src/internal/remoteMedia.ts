/** Images and documents by URL, fetched and put into the request, for providers that do not fetch them. */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { InvalidRequestError, type LlmError } from "../LlmError.js"
import type { Message, Part } from "../Message.js"
import { type Chat, withFields } from "../Request.js"
import { classifyTransport } from "./classifyTransport.js"
import type { FetchedMedia } from "./fetchedMedia.js"
import * as MediaType from "./mediaType.js"
import { safeText } from "./safeText.js"

/** What is fetched for one part is at most this large, in bytes: the least that providers take in a request. */
const largest = 20 * 1024 * 1024

const isRemote = (url: string | undefined): url is string => url !== undefined && /^https?:/i.test(url)

/** What a provider fetches itself: everything, images alone, nothing. */
export type Fetches = boolean | "images"

/** The URL of a part that the provider does not fetch. */
const remoteUrl = (part: Part, fetches: Fetches): string | undefined => {
  if (part.type === "image") return fetches === false && isRemote(part.url) ? part.url : undefined
  if (part.type === "file") return isRemote(part.data) ? part.data : undefined
  return undefined
}

/** Whether a chat has parts by `http(s):` URL that the provider does not fetch. */
export const has = (chat: Chat, fetches: Fetches): boolean =>
  fetches !== true &&
  chat.messages.some(
    ({ content }) => Array.isArray(content) && content.some((part) => remoteUrl(part, fetches) !== undefined)
  )

/** Why there is no medium. Another try may help where the host was not reached, or was not well. */
interface Miss {
  readonly why: string
  readonly mayPass: boolean
}

const miss = (why: string, mayPass = false): Effect.Effect<never, Miss> => Effect.fail({ why, mayPass })

const tooLarge = (size: string) => miss(`is ${size} bytes long, and the most is ${largest}`)

/** The body, of which no more is read than may be sent. */
const bodyOf = (response: HttpClientResponse.HttpClientResponse, provider: string) =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    const lost = (error: HttpClientError.HttpClientError): Miss => ({
      why: `broke off: ${classifyTransport(provider, error.cause ?? error).message}`,
      mayPass: true
    })
    const gathered = Stream.runForEach(Stream.mapError(response.stream, lost), (chunk) => {
      size += chunk.byteLength
      if (size > largest) return tooLarge(`more than ${largest}`)
      chunks.push(chunk)
      return Effect.void
    })
    return Effect.map(gathered, () => Buffer.concat(chunks))
  })

/** Gives up a body: the connection is closed as soon as something of it has come, or at once where nothing does. */
const dropped = ({ stream }: HttpClientResponse.HttpClientResponse) =>
  Effect.ignore(Effect.timeout(Stream.runDrain(Stream.take(stream, 1)), "1 second"))

const mayPass = (status: number): boolean => status >= 500 || status === 408 || status === 429

/** The medium as a `data:` URL. */
const fetched = (
  client: HttpClient.HttpClient,
  url: URL,
  provider: string,
  types: ReadonlyArray<string>
): Effect.Effect<string, Miss> =>
  Effect.gen(function* () {
    const response = yield* Effect.mapError(
      client.get(url),
      (error): Miss => ({
        why: `cannot be fetched: ${classifyTransport(provider, error.cause ?? error).message}`,
        mayPass: true
      })
    )
    const { headers, status } = response
    if (status < 200 || status >= 300) {
      yield* dropped(response)
      return yield* miss(`answered with status ${status}`, mayPass(status))
    }
    const length = headers["content-length"]
    if (length !== undefined && Number(length) > largest) {
      yield* dropped(response)
      return yield* tooLarge(length)
    }
    const bytes = yield* bodyOf(response, provider)
    const type = (yield* MediaType.of(bytes))?.mime
    return type !== undefined && types.includes(type)
      ? `data:${type};base64,${bytes.toString("base64")}`
      : yield* miss(`holds ${type ?? "bytes of no known type"}, and what is read is ${types.join(", ")}`)
  })

/** A URL, or what of one that is none can be shown: neither a path nor a password. */
const parsed = (url: string): Either.Either<URL, string> =>
  Either.try({
    try: () => new URL(url),
    catch: () => /^https?:\/*(?:[^/?#]*@)?([^/?#]*)/i.exec(url)?.[1] ?? ""
  })

/**
 * The chat with everything that is remote in it. A medium that cannot be had is the fault of the request, not of the
 * provider: it is an `InvalidRequestError`, and the request is not tried again. The fetch itself is tried twice more, at
 * once, where the host was not reached or not well. All of it together may take `timeoutMs` milliseconds (0: any time).
 */
export const inline = (
  client: HttpClient.HttpClient,
  chat: Chat,
  options: {
    readonly provider: string
    readonly fetches: Fetches
    readonly timeoutMs: number
    /** Of earlier attempts. */
    readonly fetchedMedia: FetchedMedia
  }
): Effect.Effect<Chat, LlmError> =>
  Effect.clockWith((clock) => {
    const { fetchedMedia, fetches, provider, timeoutMs } = options
    let host = ""
    const refused = (why: string) =>
      new InvalidRequestError({
        provider,
        message: safeText(`The ${host} URL in a message ${why}; nothing was sent`)
      })
    const data = (
      part: Part,
      text: string,
      types: ReadonlyArray<string>
    ): Effect.Effect<string, LlmError> => {
      const known = fetchedMedia.get(part, clock.unsafeCurrentTimeMillis())
      if (known !== undefined) return Effect.succeed(known)
      const url = parsed(text)
      if (Either.isLeft(url)) {
        host = url.left
        return Effect.fail(refused("is not a valid URL"))
      }
      host = url.right.host
      return fetched(client, url.right, provider, types).pipe(
        Effect.retry({ times: 2, while: ({ mayPass }) => mayPass }),
        Effect.mapBoth({
          onFailure: ({ why }) => refused(why),
          onSuccess: (data) => {
            fetchedMedia.set(part, data, clock.unsafeCurrentTimeMillis())
            return data
          }
        })
      )
    }
    const part = (part: Part): Effect.Effect<Part, LlmError> => {
      const url = remoteUrl(part, fetches)
      if (url === undefined) return Effect.succeed(part)
      if (part.type === "image") {
        return Effect.map(data(part, url, MediaType.images), (url) => ({ ...part, url }))
      }
      return Effect.map(data(part, url, MediaType.documents), (data) => ({ ...part, data }))
    }
    const message = (message: Message): Effect.Effect<Message, LlmError> =>
      message.content == null || typeof message.content === "string"
        ? Effect.succeed(message)
        : Effect.map(Effect.forEach(message.content, part), (content) => ({ ...message, content }))
    const inlined = Effect.map(Effect.forEach(chat.messages, message), (messages) =>
      withFields(chat, { messages })
    )
    return timeoutMs === 0
      ? inlined
      : Effect.timeoutFail(inlined, {
          duration: timeoutMs,
          onTimeout: () =>
            // it is the host that is slow, and neither the provider nor another endpoint changes that
            new InvalidRequestError({
              provider,
              message: `The ${host} URL in a message did not come within ${timeoutMs} ms; nothing was sent`
            })
        })
  })
