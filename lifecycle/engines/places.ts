import { closeSync, constants, openSync } from 'node:fs'

export const O_PATH = 0o10000000

/**
 * The files of the host that a starter mounts in a directory: the nth opened file is at `<dir>/<n>` (landlock/place.h). Disposal
 * closes the descriptors.
 */
export class Places implements Disposable {
  readonly dir: string
  readonly descriptors: number[] = []

  /** @param dir an existing directory of the host */
  constructor(dir: string) {
    this.dir = dir
  }

  /** Takes over the descriptor of a file or directory. Returns its future path. */
  add(fd: number): string {
    return `${this.dir}/${this.descriptors.push(fd) - 1}`
  }

  /** Opens a path of this process, and adds it. */
  open(path: string): string {
    return this.add(openSync(path, O_PATH | constants.O_RDONLY))
  }

  [Symbol.dispose](): void {
    for (const fd of this.descriptors.splice(0)) closeSync(fd)
  }
}
