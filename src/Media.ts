/**
 * Images, documents and recordings as parts of a message, from a file, from bytes, or from a URL.
 *
 * The type is found from the bytes, never from a name. What is too large for the providers is an error before it is
 * sent, or made smaller where that is asked for. A URL stays one: it is fetched only if the provider cannot.
 *
 * @example
 * import { Chat, Media, Message } from "floodgate"
 * import * as Effect from "effect/Effect"
 *
 * const request = Effect.map(Media.image("cat.png", { maxSide: 1024 }), (cat) =>
 *   Chat.prompt([Message.text("What is this?"), cat])
 * )
 *
 * @module
 */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { reasonOf } from "./internal/fileReason.js"
import * as MediaType from "./internal/mediaType.js"
import { InvalidRequestError } from "./LlmError.js"
import type { AudioPart, FilePart, ImagePart } from "./Message.js"

/**
 * What media are made from: a path or `file:` URL, an `http(s):` or `data:` URL, bytes, or base64 text as
 * `{ base64 }`.
 */
export type Source = string | URL | Uint8Array | { readonly base64: string }

interface Options {
  /** Most bytes of the file. Default 20 MiB; providers' own limits may be lower (Anthropic: 5 MB an image). */
  readonly maxBytes?: number | undefined
}

/** What {@link image} takes. */
export interface ImageOptions extends Options {
  /** How closely the model is to look. */
  readonly detail?: ImagePart["detail"] | undefined
  /**
   * Makes an image smaller whose longer side has more pixels than this: fewer tokens, fewer bytes. Needs the package
   * `sharp`, an optional peer. Default: sent as it is.
   */
  readonly maxSide?: number | undefined
}

/** What {@link document} takes. */
export interface DocumentOptions extends Options {
  /** Default: the name of the file, or one after the type. */
  readonly filename?: string | undefined
}

const defaultMaxBytes = 20 * 1024 * 1024

const invalid = (message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "floodgate", message })

/** A source that is read: bytes with what names them in errors. */
interface Loaded {
  readonly bytes: Uint8Array
  readonly name: string
}

const fromBase64 = (base64: string, name: string): Effect.Effect<Loaded, InvalidRequestError> => {
  const text = base64.replace(/\s+/g, "")
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) && text.length > 0
    ? Effect.succeed({ bytes: Buffer.from(text, "base64"), name })
    : Effect.fail(invalid(`${name} is not base64`))
}

const dataUrl = /^data:([^;,]*)(?:;[^,]*)?,/i

/** An `http(s):` URL, which the provider fetches. */
const remote = (source: Source): string | undefined => {
  const text = source instanceof URL ? source.href : source
  return typeof text === "string" && /^https?:\/\//i.test(text) ? text : undefined
}

const parseUrl = (text: string): Effect.Effect<URL, InvalidRequestError> =>
  Effect.try({ try: () => new URL(text), catch: () => invalid(`${text.slice(0, 200)} is not a URL`) })

const read = (path: string | URL): Effect.Effect<Loaded, InvalidRequestError> => {
  const name = path instanceof URL ? path.pathname : path
  return Effect.tryPromise({
    try: async () => ({ bytes: await readFile(path), name }),
    catch: (cause) => invalid(`The file ${name} cannot be read: ${reasonOf(cause)}`)
  })
}

const load = (source: Source): Effect.Effect<Loaded, InvalidRequestError> => {
  if (source instanceof Uint8Array) return Effect.succeed({ bytes: source, name: "The data" })
  if (source instanceof URL) return read(source)
  if (typeof source === "object") return fromBase64(source.base64, "The data")
  if (/^data:/i.test(source)) {
    const head = dataUrl.exec(source)?.[0]
    if (head === undefined) return Effect.fail(invalid("The data: URL has no data"))
    const body = source.slice(head.length)
    return /;base64,$/i.test(head)
      ? fromBase64(body, "The data: URL")
      : Effect.try({
          try: () => ({ bytes: Buffer.from(decodeURIComponent(body)), name: "The data: URL" }),
          catch: () => invalid("The data: URL is not percent-encoded text")
        })
  }
  return /^file:/i.test(source) ? Effect.flatMap(parseUrl(source), read) : read(source)
}

const checkSize = ({ bytes, name }: Loaded, maxBytes = defaultMaxBytes) =>
  bytes.byteLength === 0
    ? Effect.fail(invalid(`${name} is empty`))
    : bytes.byteLength > maxBytes
      ? Effect.fail(invalid(`${name} is ${bytes.byteLength} bytes long, and the most is ${maxBytes}`))
      : Effect.void

/** The type that the bytes are of, which is to begin with one of `kinds`. */
const typeOf = ({ bytes, name }: Loaded, kinds: ReadonlyArray<string>, what: string) =>
  Effect.flatMap(MediaType.of(bytes), (found) =>
    found !== undefined && kinds.some((kind) => found.mime.startsWith(kind))
      ? Effect.succeed(found)
      : Effect.fail(invalid(`${name} is not ${what}: its bytes are ${found?.mime ?? "of no known type"}`))
  )

const toDataUrl = (mime: string, bytes: Uint8Array): string =>
  `data:${mime};base64,${Buffer.from(bytes).toString("base64")}`

const loadSharp = Effect.tryPromise({
  try: async () => (await import("sharp")).default,
  catch: () => invalid(`To make images smaller, install the package "sharp": npm install sharp`)
})

/** The image with its longer side at most this long; as it was where it is already. */
const shrink = (
  { bytes, name }: Loaded,
  mime: string,
  maxSide: number
): Effect.Effect<{ readonly bytes: Uint8Array; readonly mime: string }, InvalidRequestError> =>
  Effect.flatMap(loadSharp, (sharp) =>
    Effect.tryPromise({
      try: async () => {
        const image = sharp(bytes)
        const { height = 0, width = 0 } = await image.metadata()
        if (Math.max(width, height) <= maxSide) return { bytes, mime }
        const smaller = image.rotate().resize(maxSide, maxSide, { fit: "inside", withoutEnlargement: true })
        return { bytes: new Uint8Array(await smaller.toBuffer()), mime }
      },
      catch: (cause) =>
        invalid(`${name} cannot be made smaller: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
  )

/** An image: PNG, JPEG, GIF or WebP. */
export const image = (
  source: Source,
  options: ImageOptions = {}
): Effect.Effect<ImagePart, InvalidRequestError> => {
  const part = (url: string): ImagePart => ({
    type: "image",
    url,
    ...(options.detail === undefined ? undefined : { detail: options.detail })
  })
  const url = remote(source)
  if (url !== undefined) return Effect.as(parseUrl(url), part(url))
  return Effect.gen(function* () {
    const loaded = yield* load(source)
    const { mime } = yield* typeOf(
      loaded,
      MediaType.images,
      "an image that models read (PNG, JPEG, GIF, WebP)"
    )
    const sized =
      options.maxSide === undefined
        ? { bytes: loaded.bytes, mime }
        : yield* shrink(loaded, mime, options.maxSide)
    yield* checkSize({ ...sized, name: loaded.name }, options.maxBytes)
    return part(toDataUrl(sized.mime, sized.bytes))
  })
}

const baseName = (name: string): string => name.split(/[\\/]/).at(-1) || name

/** A PDF. */
export const document = (
  source: Source,
  options: DocumentOptions = {}
): Effect.Effect<FilePart, InvalidRequestError> => {
  const url = remote(source)
  if (url !== undefined) {
    return Effect.map(parseUrl(url), ({ pathname }) => {
      const filename = options.filename ?? baseName(pathname)
      return { type: "file", data: url, ...(filename === "" ? undefined : { filename }) }
    })
  }
  return Effect.gen(function* () {
    const loaded = yield* load(source)
    yield* checkSize(loaded, options.maxBytes)
    const { mime } = yield* typeOf(loaded, MediaType.documents, "a PDF")
    const isPath = typeof source === "string" ? !/^data:/i.test(source) : source instanceof URL
    const filename = options.filename ?? (isPath ? baseName(loaded.name) : "document.pdf")
    return { type: "file", data: toDataUrl(mime, loaded.bytes), filename }
  })
}

/** A recording: WAV, MP3 and whatever else the provider reads. */
export const audio = (
  source: Exclude<Source, URL>,
  options: Options = {}
): Effect.Effect<AudioPart, InvalidRequestError> =>
  remote(source) !== undefined
    ? Effect.fail(invalid("Providers take recordings as data: fetch the URL and pass its bytes"))
    : Effect.gen(function* () {
        const loaded = yield* load(source)
        yield* checkSize(loaded, options.maxBytes)
        const { ext } = yield* typeOf(loaded, ["audio/"], "a recording")
        return {
          type: "audio",
          data: Buffer.from(loaded.bytes).toString("base64"),
          format: ext
        }
      })
