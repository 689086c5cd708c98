import { Component } from '@angular/core'

@Component({ template: '<p>rendered by {{ where }}</p>' })
export default class IndexPage {
  readonly where = typeof window === 'undefined' ? 'the server' : 'the browser'
}
