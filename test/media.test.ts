import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Media } from "floodgate"
import sharp from "sharp"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "floodgate-media-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const png = Effect.promise(() =>
  sharp({ create: { width: 300, height: 150, channels: 3, background: "#336699" } })
    .png()
    .toBuffer()
)

const wav = Buffer.concat([
  Buffer.from("RIFF"),
  Buffer.from([36, 0, 0, 0]),
  Buffer.from("WAVEfmt "),
  Buffer.alloc(24)
])

describe("Media.image", () => {
  it.scopedLive("is the same part from a path, a file URL, bytes, base64 and a data URL", () =>
    Effect.gen(function* () {
      const bytes = yield* png
      const path = join(yield* folder, "named-wrongly.jpg")
      yield* Effect.promise(() => writeFile(path, bytes))
      const base64 = bytes.toString("base64")
      const expected = { type: "image", url: `data:image/png;base64,${base64}` }
      const sources: ReadonlyArray<Media.Source> = [
        path,
        pathToFileURL(path),
        pathToFileURL(path).href,
        new Uint8Array(bytes),
        { base64 },
        `data:image/jpeg;base64,${base64}`
      ]
      for (const source of sources) expect(yield* Media.image(source)).toEqual(expected)
    })
  )

  it.live("leaves a URL to the provider", () =>
    Effect.gen(function* () {
      expect(yield* Media.image("https://x.test/a.png", { detail: "low" })).toEqual({
        type: "image",
        url: "https://x.test/a.png",
        detail: "low"
      })
    })
  )

  it.live("is made smaller where that is asked for, and only then", () =>
    Effect.gen(function* () {
      const bytes = yield* png
      const sizeOf = (url: string) =>
        Effect.promise(() => sharp(Buffer.from(url.split(",")[1] ?? "", "base64")).metadata())
      const small = yield* sizeOf((yield* Media.image(bytes, { maxSide: 100 })).url)
      expect([small.width, small.height]).toEqual([100, 50])
      const same = yield* Media.image(bytes, { maxSide: 300 })
      expect(same.url).toBe(`data:image/png;base64,${bytes.toString("base64")}`)
    })
  )

  it.live("that is none, too large, empty or not there is an error that says so", () =>
    Effect.gen(function* () {
      const bytes = yield* png
      const problem = (source: Media.Source, options?: Media.ImageOptions) =>
        Effect.map(Effect.flip(Media.image(source, options)), (error) => error.message)
      expect(yield* problem("/nowhere/cat.png")).toContain("/nowhere/cat.png cannot be read")
      expect(yield* problem(Buffer.from("hello, world, this is text"))).toContain("not an image")
      expect(yield* problem(Buffer.from("%PDF-1.7 …"))).toContain("application/pdf")
      expect(yield* problem(bytes, { maxBytes: 10 })).toContain("the most is 10")
      expect(yield* problem({ base64: "***" })).toContain("not base64")
      expect(yield* problem("data:text/plain,%E0%A4%A")).toContain("percent-encoded")
      expect(yield* problem("file://%")).toContain("file://% is not a URL")
      expect(yield* problem("https://[bad")).toContain("https://[bad is not a URL")
      const document = yield* Effect.flip(Media.document("https://[bad"))
      expect(document._tag).toBe("InvalidRequestError")
    })
  )
})

describe("Media.document and Media.audio", () => {
  it.scopedLive("find the type from the bytes, and a name", () =>
    Effect.gen(function* () {
      const pdf = Buffer.from("%PDF-1.7\n%âãÏÓ\n1 0 obj")
      const path = join(yield* folder, "report.pdf")
      yield* Effect.promise(() => writeFile(path, pdf))
      expect(yield* Media.document(path)).toEqual({
        type: "file",
        data: `data:application/pdf;base64,${pdf.toString("base64")}`,
        filename: "report.pdf"
      })
      expect(yield* Media.document(pdf)).toMatchObject({ filename: "document.pdf" })
      expect(yield* Media.document("https://x.test/a/b.pdf")).toEqual({
        type: "file",
        data: "https://x.test/a/b.pdf",
        filename: "b.pdf"
      })
      expect(yield* Media.audio(wav)).toEqual({
        type: "audio",
        data: wav.toString("base64"),
        format: "wav"
      })
    })
  )
})
