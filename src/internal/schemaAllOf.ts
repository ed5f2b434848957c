/** `allOf`, which most servers do not take, as one schema. */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { listOf } from "./wireValues.js"

const describing = new Set(["title", "description", "additionalProperties"])

/** Schemas that all hold, as one, where they do not say different things of the same; else nothing. */
export const merged = (schema: JsonObject): JsonObject | undefined => {
  const { allOf, ...rest } = schema
  if (allOf === undefined) return schema
  let whole: JsonObject = {}
  for (const given of [rest, ...listOf(allOf)]) {
    const part = isJsonObject(given) ? merged(given) : undefined
    if (part === undefined) return undefined
    const { properties, required, ...more } = part
    const known = isJsonObject(whole.properties) ? whole.properties : {}
    const added = isJsonObject(properties) ? properties : {}
    const clashes =
      Object.keys(added).some((name) => name in known) ||
      Object.keys(more).some(
        (key) =>
          !describing.has(key) &&
          whole[key] !== undefined &&
          JSON.stringify(whole[key]) !== JSON.stringify(more[key])
      )
    if (clashes) return undefined
    whole = {
      ...more,
      ...whole,
      ...(properties === undefined ? undefined : { properties: { ...known, ...added } }),
      ...(required === undefined ? undefined : { required: [...listOf(whole.required), ...listOf(required)] })
    }
  }
  // a reference among others would have to be opened
  const others = Object.keys(whole).filter((key) => key !== "$ref" && !describing.has(key))
  return whole.$ref !== undefined && others.length > 0 ? undefined : whole
}
