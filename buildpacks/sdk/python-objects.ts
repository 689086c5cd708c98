/** An object in a module that a server calls. */
export interface FoundObject {
  readonly object: string
  readonly factory: boolean
  /** The expression that creates it, if the source shows it: `Flask(__name__)`. */
  readonly made?: string
  /** The module that it is imported from. */
  readonly from?: string | undefined
}

/** The object in a module that a server calls. */
export function findObject(source: string): FoundObject | undefined {
  // Dash's application is not a WSGI application; its Flask server is.
  const server = /^(server)(?:\s*:[^=\n]+)?\s*=\s*\w+\.server\b/m.exec(source)
  if (server) return { object: 'server', factory: false, made: 'Flask()' }
  const dash = /^(\w+)(?:\s*:[^=\n]+)?\s*=\s*(?:dash\.)?Dash\(/m.exec(source)?.[1]
  if (dash !== undefined) return { object: `${dash}.server`, factory: false, made: 'Flask()' }
  // FastHTML's function returns its router and tables as well: `app, rt = fast_app()`.
  const named = /^(app|application|api)(?:\s*:[^=\n]+|(?:\s*,\s*\w+)+)?\s*=(?!=)(.*)$/m.exec(source)
  if (named?.[1] !== undefined && named[1] !== 'api') {
    return { object: named[1], factory: false, made: (named[0].match(/:\s*\w+(?=\s*=)/)?.[0] ?? '') + (named[2] ?? '') }
  }
  const imported = /^from\s+(\S+)\s+import\s+(?:.*[\s,(])?(app|application)\b/m.exec(source)
  // ui.run serves NiceGUI's own application.
  if (imported?.[2] !== undefined && imported[1] !== 'nicegui')
    return { object: imported[2], factory: false, from: imported[1] }
  const factory = /^(?:async\s+)?def\s+(create_app|make_app)\s*\(/m.exec(source)
  if (factory?.[1] !== undefined) return { object: factory[1], factory: true }
  // A WSGI application may be a plain function (PEP 3333).
  const plain = /^def\s+(app|application|simple_app)\s*\(\s*\w+\s*(?::[^,]+)?,\s*start_response\b/m.exec(source)
  if (plain?.[1] !== undefined) return { object: plain[1], factory: false, made: 'wsgi()' }
  // The Mesop module itself is the WSGI application of its pages.
  const mesop = /^import\s+mesop(?:\s+as\s+(\w+))?\s*$/m.exec(source)
  if (mesop) return { object: mesop[1] ?? 'mesop', factory: false, made: 'wsgi()' }
  const other = new RegExp(
    `^(\\w+)(?:\\s*:[^=\\n]+)?\\s*=\\s*(?:\\w+\\.)?((?:${asgi.source}|${wsgi.source})\\(.*)$`,
    'm',
  ).exec(source)
  return other?.[1] === undefined ? undefined : { object: other[1], factory: false, made: other[2] ?? '' }
}

/** Functions and classes that create ASGI applications. */
export const asgi = /(?:FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep|FastHTML|fast_app|get_asgi_application)/

/** Functions and classes that create WSGI applications. */
export const wsgi = /(?:Flask|Bottle|get_wsgi_application|APIFlask|OpenAPI)/
