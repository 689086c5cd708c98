import isOdd from 'is-odd'

Deno.serve({ port: Number(Deno.env.get('PORT')) }, () => new Response(`Deno, 3 is odd: ${isOdd(3)}`))
