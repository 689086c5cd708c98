import 'reflect-metadata'
import { Controller, Get, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'

@Controller()
class AppController {
  @Get()
  home(): string {
    return 'answered by NestJS'
  }
}

@Module({ controllers: [AppController] })
class AppModule {}

void NestFactory.create(AppModule).then(app => app.listen(process.env.PORT ?? 3000))
