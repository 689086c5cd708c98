import 'koa'
