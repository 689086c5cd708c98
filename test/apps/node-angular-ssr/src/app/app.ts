import { Component, makeStateKey, TransferState, inject } from '@angular/core'
import { RouterOutlet } from '@angular/router'

const version = makeStateKey<string>('version')

@Component({
  selector: 'app-root',
  imports: [RouterOutlet],
  template: '<p>rendered by Node {{ version }}</p><router-outlet />',
})
export class App {
  readonly #state = inject(TransferState)
  readonly version = this.#state.get(version, globalThis.process?.version ?? '')

  constructor() {
    this.#state.set(version, this.version)
  }
}
