from models.choices import invalid_choice


def test_invalid_choice_suggests_the_closest_name():
    message = invalid_choice("nativ", ["native", "tutel"])
    assert message == "'nativ' is not one of native, tutel; did you mean 'native'?"


def test_invalid_choice_without_a_close_name_lists_the_choices():
    assert invalid_choice("x", ["native", "tutel"]) == "'x' is not one of native, tutel"
