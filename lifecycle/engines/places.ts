import { closeSync, constants, openSync } from 'node:fs'

export const O_PATH = 0o10000000

/**
 * What of the host a starter shows in a directory: the nth thing that is opened is at `<dir>/<n>` (landlock/place.h). Disposal
 * closes the descriptors.
 */
export class Places implements Disposable {
  readonly dir: string
  readonly descriptors: number[] = []

  /** @param dir a directory of the host, which is there */
  constructor(dir: string) {
    this.dir = dir
  }

  /** Takes over the descriptor of a file or directory. Returns where it will be. */
  add(fd: number): string {
    return `${this.dir}/${this.descriptors.push(fd) - 1}`
  }

  /** The same for a path of ours. */
  open(path: string): string {
    return this.add(openSync(path, O_PATH | constants.O_RDONLY))
  }

  [Symbol.dispose](): void {
    for (const fd of this.descriptors.splice(0)) closeSync(fd)
  }
}
