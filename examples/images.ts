/**
 * Questions about images. `Media.image` takes files, URLs, bytes and base64, finds the type from the bytes, and refuses
 * what no model reads before anything is sent.
 *
 * Prints a line for each image, `<name>: <first words of the answer>`. Without arguments there are three small squares,
 * red, green and blue, and a text that only pretends to be an image:
 * `fake: InvalidRequestError, The data is not an image …`.
 *
 * Run it against the simulator (`npx floodgate simulate`) or a provider of your choice; files may follow:
 *
 *     OPENAI_BASE_URL=http://127.0.0.1:4010/v1 OPENAI_API_KEY=any-key OPENAI_MODEL=sim-1 npx tsx examples/images.ts
 *
 * Node 22.18 and later needs no `tsx`: `node examples/images.ts cat.png`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Chat, complete, Media, Message, OpenAILive } from "floodgate"

/** A PNG of 16 by 16 pixels; only the colour differs. */
const square = (pixels: string): Media.Source => ({
  base64: `iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42m${pixels}AAAABJRU5ErkJggg==`
})

const samples: ReadonlyArray<readonly [name: string, source: Media.Source]> = [
  ["red", square("O4IyJHEmIY1TCqYfhqAABJUg4Q43UTbA")],
  ["green", square("MQWWBDEmIY1TCqYfhqAABwkfABLqI7LQ")],
  ["blue", square("MQsTlBEmIY1TCqYfhqAAAoJBgQ7WmkZw")],
  ["fake", new TextEncoder().encode("I am no image.")]
]

const files = process.argv.slice(2).map((file) => [file, file] as const)

const describe = (source: Media.Source) =>
  Effect.gen(function* () {
    const image = yield* Media.image(source, { detail: "low" })
    const prompt = [Message.text("Which colour is this? Answer with one word."), image]
    const { text } = yield* complete(Chat.prompt(prompt, { temperature: 0, maxTokens: 20 }))
    return text
  }).pipe(
    // of this image alone: the others go on
    Effect.catchAll(({ _tag, message }) => Effect.succeed(`${_tag}, ${message}`))
  )

const program = Effect.gen(function* () {
  const images = files.length > 0 ? files : samples
  const answers = yield* Effect.forEach(images, ([, source]) => describe(source), { concurrency: 4 })
  for (const [n, [name]] of images.entries()) yield* Console.log(`${name}: ${answers[n]}`)
})

NodeRuntime.runMain(program.pipe(Effect.provide(OpenAILive)))
