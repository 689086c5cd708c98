import isOdd from 'is-odd'

const has = (name: string) => Boolean(Bun.which(name))
Bun.serve({
  port: process.env.PORT,
  fetch: () => new Response(`Bun, 3 is odd: ${isOdd(3)}, node in the image: ${has('node')}`),
})
