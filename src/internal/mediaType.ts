/** What bytes are, found from the bytes themselves: a name or a header may say anything. */
import * as Effect from "effect/Effect"

/** Images that every provider which reads images takes. */
export const images: ReadonlyArray<string> = ["image/png", "image/jpeg", "image/gif", "image/webp"]

/** Documents that every provider which reads documents takes. */
export const documents: ReadonlyArray<string> = ["application/pdf"]

// loaded only by those who have media
const fileType = Effect.promise(() => import("file-type"))

/** The media type of these bytes, such as `image/png`, and the extension that files of it have; nothing if it is not known. */
export const of = (
  bytes: Uint8Array
): Effect.Effect<{ readonly mime: string; readonly ext: string } | undefined> =>
  Effect.flatMap(fileType, ({ fileTypeFromBuffer }) =>
    // bytes that begin as a known type and go on as none may be more than its reader can bear
    Effect.orElseSucceed(
      Effect.tryPromise(() => fileTypeFromBuffer(bytes)),
      () => undefined
    )
  )
