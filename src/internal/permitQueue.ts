/** A queue, first in, first out, whose members can leave from the middle at no cost. */

export class QueueNode {
  /** @internal */
  next: this | undefined = undefined
  /** @internal */
  previous: this | undefined = undefined
}

export class PermitQueue<A extends QueueNode> {
  size = 0
  head: A | undefined = undefined
  #tail: A | undefined = undefined

  push(node: A): void {
    node.previous = this.#tail
    if (this.#tail === undefined) this.head = node
    else this.#tail.next = node
    this.#tail = node
    this.size++
  }

  /** Takes out a member of this queue. */
  remove(node: A): void {
    if (node.previous === undefined) this.head = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.#tail = node.previous
    else node.next.previous = node.previous
    node.next = undefined
    node.previous = undefined
    this.size--
  }
}
