# What every native target of this project is compiled with.
function(scanbridge_target_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Werror)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON
                                             CXX_EXTENSIONS OFF)
  if(SCANBRIDGE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${SCANBRIDGE_SANITIZE}
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    target_link_options(${target} PRIVATE -fsanitize=${SCANBRIDGE_SANITIZE})
  endif()
endfunction()
