// The used parts of WebAssembly: its types are only in TypeScript's `dom` library, which is not for Node.
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
