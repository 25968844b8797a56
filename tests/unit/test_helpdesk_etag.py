import pytest

from apps.helpdesk.etag import etag, expected_version
from apps.tenancy.http.problems import Problem


class TestExpectedVersion:
    def test_reads_back_the_etag(self):
        assert expected_version(etag(7)) == 7

    @pytest.mark.parametrize("header", ['W/"7"', "7", '  "7" '])
    def test_reads_what_proxies_and_people_make_of_it(self, header):
        assert expected_version(header) == 7

    @pytest.mark.parametrize("header", [None, "*"])
    def test_is_none_when_any_version_will_do(self, header):
        assert expected_version(header) is None

    @pytest.mark.parametrize(
        "header", ["", '"x"', '"1", "2"', '"-1"', '"\u0661"', "1.0", '"99999999999"', "null"]
    )
    def test_refuses_anything_else(self, header):
        with pytest.raises(Problem) as refused:
            expected_version(header)

        assert refused.value.status_code == 400
