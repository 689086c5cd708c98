// What we use of WebAssembly: its types come with TypeScript's `dom` library only, which is not for Node.
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: string
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, () => void>>)
    readonly exports: unknown
  }
  function compile(bytes: Uint8Array): Promise<Module>
}
