/** Cohere's error body: `{ "id", "message" }`. */
import type { Reply } from "./Wire.js"

/** An error reply. */
export const error = (status: number, message: string): Reply => ({
  _tag: "Reply",
  status,
  body: JSON.stringify({ id: "0f4e6a1c-6c1b-4c38-9d7e-5f6a7b8c9d0e", message })
})
