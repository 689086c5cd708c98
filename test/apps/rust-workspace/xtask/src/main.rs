compile_error!("not for the image");
