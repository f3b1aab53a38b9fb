// tmp
#[test] fn t(){}
